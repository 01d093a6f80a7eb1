"""Raw requests, and what becomes of each on Granian and on uvicorn. Data only; test_requests.py sends them.

An outcome is `400` and the like: refused; `closed`: without an answer; or what the upstream saw as one whole request in the
gateway's own framing, `POST / abc`. Several in a row are what followed on the connection. Where only one outcome stands, both
servers agree. Decided by the project, whatever a server might do: Host missing, doubled or odd is 400; NUL, bare CR and
folding in a head are 400; CONNECT is 501; TRACE is 405. Each other outcome is one that RFC 9112 allows.
"""

from __future__ import annotations

from collections.abc import Iterator

Row = tuple[bytes, str] | tuple[bytes, str, str]

HOST = b"Host: a\r\n"
TE = b"Transfer-Encoding: chunked"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def get(fields: bytes = b"", target: bytes = b"/") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n\r\n" + body


# fmt: off

# Content-Length and Transfer-Encoding together, doubled, out of place (RFC 9112 §6.1, §6.3)
FRAMING: dict[str, Row] = {
    "CL then TE": (post(b"Content-Length: 3\r\n" + TE, CHUNKS), "POST / abc", "400"),
    "TE then CL": (post(TE + b"\r\nContent-Length: 3", CHUNKS), "POST / abc", "400"),
    "CL.TE smuggle": (post(b"Content-Length: 40\r\n" + TE, b"0\r\n\r\n" + SMUGGLED), "POST /", "400"),
    "TE.CL smuggle": (post(b"Content-Length: 4\r\n" + TE, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), "POST / GET /smuggled HTTP/1.1\r\nHost: a", "400"),
    "CL 0 with TE": (post(b"Content-Length: 0\r\n" + TE, CHUNKS), "POST / abc", "400"),
    "TE in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: a\r\n" + TE + b"\r\n\r\n" + CHUNKS, "400"),
    "TE with CL in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n" + TE + b"\r\n\r\n" + CHUNKS, "400"),
    "CL twice equal": (post(b"Content-Length: 3\r\nContent-Length: 3", b"abc"), "POST / abc", "400"),
    "CL twice unequal": (post(b"Content-Length: 3\r\nContent-Length: 4", b"abcd"), "400"),
    "CL twice, 0 first": (post(b"Content-Length: 0\r\nContent-Length: 37", SMUGGLED), "400"),
    "CL twice, different spelling": (post(b"Content-Length: 3\r\nContent-Length: 03", b"abc"), "POST / abc", "400"),
    "CL space before colon": (post(b"Content-Length : 3", b"abc"), "400"),
    "CL on GET": (get(b"Content-Length: 3\r\n") + b"abc", "GET / abc"),
    "CL on GET smuggle": (get(b"Content-Length: %d\r\n" % len(SMUGGLED)) + SMUGGLED, "GET / GET /smuggled HTTP/1.1\r\nHost: a"),
    "POST without length": (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /"),
    "POST without length, with bytes": (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED, "POST / | GET /smuggled"),
    "CL named in Connection": (post(b"Connection: content-length\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "Host named in Connection": (get(b"Connection: host\r\n"), "GET /"),
    "TE named in Connection": (post(b"Connection: transfer-encoding\r\n" + TE, CHUNKS), "POST / abc"),
    "CL_underscore": (post(b"Content_Length: 99\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "CL.0 pipelined": (post(b"Content-Length: 0", SMUGGLED), "POST / | GET /smuggled"),
    "Transfer_Encoding, no length": (post(b"Transfer_Encoding: chunked", CHUNKS), "POST / | 400", "POST /"),
    "Transfer_Encoding beside a length": (post(b"Content-Length: 13\r\nTransfer_Encoding: chunked", CHUNKS), "POST / " + CHUNKS.decode().strip()),
    "TE behind the head": (post(b"X: y\r\n\r\nTransfer-Encoding: chunked", CHUNKS), "POST / | 400", "POST /"),
}

# Spellings of Transfer-Encoding, before a chunked body; once alone, once beside a Content-Length
CODINGS: dict[str, Row] = {
    "xchunked": (b"Transfer-Encoding: xchunked", "400"),
    "space before colon": (b"Transfer-Encoding : chunked", "400"),
    "tab before colon": (b"Transfer-Encoding\t: chunked", "400"),
    "tab after colon": (b"Transfer-Encoding:\tchunked", "POST / abc"),
    "vertical tab": (b"Transfer-Encoding: \x0bchunked", "400"),
    "form feed": (b"Transfer-Encoding: \x0cchunked", "400"),
    "trailing VT": (b"Transfer-Encoding: chunked\x0b", "400"),
    "NBSP": (b"Transfer-Encoding:\xa0chunked", "400"),
    "line fold": (b"Transfer-Encoding:\r\n chunked", "400"),
    "fold tab": (b"Transfer-Encoding:\r\n\tchunked", "400"),
    "leading space": (b" Transfer-Encoding: chunked", "400"),
    "after bare LF": (b"X: y\nTransfer-Encoding: chunked", "POST / abc", "400"),
    "after bare CR": (b"X: y\rTransfer-Encoding: chunked", "400"),
    "quoted": (b'Transfer-Encoding: "chunked"', "400"),
    "single quoted": (b"Transfer-Encoding: 'chunked'", "400"),
    "upper case": (b"TRANSFER-ENCODING: CHUNKED", "POST / abc"),
    "mixed case value": (b"Transfer-Encoding: cHuNkEd", "POST / abc"),
    "identity": (b"Transfer-Encoding: identity", "400"),
    "empty": (b"Transfer-Encoding: ", "400"),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity", "400"),
    "identity, chunked": (b"Transfer-Encoding: identity, chunked", "400"),
    "gzip, chunked": (b"Transfer-Encoding: gzip, chunked", "400"),
    "chunked, gzip": (b"Transfer-Encoding: chunked, gzip", "400"),
    "twice": (TE + b"\r\n" + TE, "400"),
    "chunked, chunked": (b"Transfer-Encoding: chunked, chunked", "400"),
    "twice, second identity": (TE + b"\r\nTransfer-Encoding: identity", "400"),
    "twice, first identity": (b"Transfer-Encoding: identity\r\n" + TE, "400"),
    "twice, second garbage": (TE + b"\r\nTransfer-Encoding: x", "400"),
    "with parameter": (b"Transfer-Encoding: chunked;q=1", "400"),
    "comma first": (b"Transfer-Encoding: ,chunked", "400"),
    "comma last": (b"Transfer-Encoding: chunked,", "400"),
    "dash variant": (b"Transfer\xadEncoding: chunked", "400"),
    "NUL in value": (b"Transfer-Encoding: chunked\0", "400"),
    "NUL in name": (b"Transfer-Encoding\0: chunked", "400"),
    "no colon": (b"Transfer-Encoding chunked", "400"),
    "chunkedchunked": (b"Transfer-Encoding: chunkedchunked", "400"),
    "chunk": (b"Transfer-Encoding: chunk", "400"),
    "with trailing CR": (b"Transfer-Encoding: chunked\r", "400"),
    "eight-bit name": (b"Transfer-Encod\xecng: chunked", "400"),
    "tab last": (b"Transfer-Encoding: chunked\t", "POST / abc", "400"),
}

# Values of Content-Length, before `abc`
LENGTHS: dict[str, Row] = {
    "plus": (b" + 3", "400"),
    "minus": (b"-3", "400"),
    "hex": (b"0x3", "400"),
    "space inside": (b"1 3", "400"),
    "comma": (b"3, 3", "400"),
    "comma unequal": (b"3, 4", "400"),
    "empty": (b"", "400"),
    "word": (b"three", "400"),
    "decimal": (b"3.0", "400"),
    "exponent": (b"3e0", "400"),
    "underscore": (b"0_3", "400"),
    "leading zeros": (b"0003", "POST / abc"),
    "quoted": (b'"3"', "400"),
    "huge": (b"9" * 40, "400"),
    "2^64": (b"18446744073709551616", "400"),
    "2^64+3": (b"18446744073709551619", "400"),
    "arabic digits": ("٣".encode(), "400"),
    "superscript": (b"\xb3", "400"),
    "NUL": (b"3\0", "400"),
    "VT": (b"\x0b3", "400"),
    "trailing space": (b"3  ", "POST / abc"),
    "tab": (b"\t3\t", "POST / abc"),
    "semicolon": (b"3;", "400"),
    "newline fold": (b"3\r\n 3", "400"),
    "fold first": (b"\r\n 3", "400"),
}

# Chunked bodies (RFC 9112 §7.1)
CHUNKED: dict[str, Row] = {
    "size word": (b"zz\r\nabc\r\n0\r\n\r\n", "400"),
    "size 0x": (b"0x3\r\nabc\r\n0\r\n\r\n", "400"),
    "size plus": (b" + 3\r\nabc\r\n0\r\n\r\n", "400"),
    "size minus": (b"-3\r\nabc\r\n0\r\n\r\n", "400"),
    "size space first": (b" 3\r\nabc\r\n0\r\n\r\n", "400"),
    "size space after": (b"3 \r\nabc\r\n0\r\n\r\n", "POST / abc", "400"),
    "size tab after": (b"3\t\r\nabc\r\n0\r\n\r\n", "POST / abc", "400"),
    "size empty": (b"\r\nabc\r\n0\r\n\r\n", "400"),
    "size huge": (b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n", "400"),
    "size 2^64": (b"10000000000000003\r\nabc\r\n0\r\n\r\n", "400"),
    "size leading zeros": (b"0" * 30 + b"3\r\nabc\r\n0\r\n\r\n", "POST / abc"),
    "size endless zeros": (b"0" * 100000 + b"3\r\nabc\r\n0\r\n\r\n", "POST / abc"),
    "size underscore": (b"0_3\r\nabc\r\n0\r\n\r\n", "400"),
    "size upper": (b"A\r\n0123456789\r\n0\r\n\r\n", "POST / 0123456789"),
    "size comma": (b"3,3\r\nabc\r\n0\r\n\r\n", "400"),
    "bare LF": (b"3\nabc\n0\n\n", "400"),
    "bare LF after size": (b"3\nabc\r\n0\r\n\r\n", "400"),
    "bare LF after data": (b"3\r\nabc\n0\r\n\r\n", "400"),
    "bare LF after last size": (b"3\r\nabc\r\n0\n\r\n", "400"),
    "bare CR after size": (b"3\rabc\r\n0\r\n\r\n", "400"),
    "CR CR LF": (b"3\r\r\nabc\r\n0\r\n\r\n", "400"),
    "data too long": (b"3\r\nabcd\r\n0\r\n\r\n", "400"),
    "data too short": (b"5\r\nabc\r\n0\r\n\r\n", "400"),
    "no CRLF after data": (b"3\r\nabc0\r\n\r\n", "400"),
    "extension": (b"3;a=b\r\nabc\r\n0\r\n\r\n", "POST / abc"),
    "extension quoted": (b'3;a="b;c"\r\nabc\r\n0\r\n\r\n', "POST / abc"),
    "extension bad": (b"3;;;=\r\nabc\r\n0\r\n\r\n", "POST / abc"),
    "extension LF": (b"3;a\nb\r\nabc\r\n0\r\n\r\n", "400"),
    "extension CR": (b"3;a\rb\r\nabc\r\n0\r\n\r\n", "400"),
    "extension LF smuggle": (b"2;\nxx\r\n3f\r\n0\r\n\r\n" + SMUGGLED + b"0\r\n\r\n", "400"),
    "extension NUL": (b"3;a\0b\r\nabc\r\n0\r\n\r\n", "POST / abc", "400"),
    "line NUL": (b"3\0\r\nabc\r\n0\r\n\r\n", "400"),
    "extension long": (b"3;" + b"a" * 20000 + b"\r\nabc\r\n0\r\n\r\n", "400", "POST / abc"),
    "extension control": (b"3;a\x01\r\nabc\r\n0\r\n\r\n", "POST / abc", "400"),
    "extension after last": (b"3\r\nabc\r\n0;a=b\r\n\r\n", "POST / abc"),
    "extension space": (b"3 ;a=b\r\nabc\r\n0\r\n\r\n", "POST / abc", "400"),
    "quoted CRLF": (b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n', "400"),
    "trailer": (b"3\r\nabc\r\n0\r\nX-T: y\r\n\r\n", "POST / abc"),
    "trailer CL": (b"3\r\nabc\r\n0\r\nContent-Length: 99\r\n\r\n", "POST / abc", "400"),
    "trailer TE": (b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / abc", "400"),
    "trailer Host": (b"3\r\nabc\r\n0\r\nHost: b\r\n\r\n", "POST / abc"),
    "trailer auth": (b"3\r\nabc\r\n0\r\nAuthorization: Basic x\r\n\r\n", "POST / abc"),
    "trailer fold": (b"3\r\nabc\r\n0\r\nX-T: y\r\n z\r\n\r\n", "400"),
    "trailer no colon": (b"3\r\nabc\r\n0\r\nbroken\r\n\r\n", "400"),
    "trailer bare CR": (b"3\r\nabc\r\n0\r\nX-T: y\rz\r\n\r\n", "400"),
    "trailer NUL": (b"3\r\nabc\r\n0\r\nX-T: \0\r\n\r\n", "400"),
    "trailer giant": (b"3\r\nabc\r\n0\r\nX-T: " + b"a" * 70000 + b"\r\n\r\n", "400", "431"),
    "trailer many": (b"3\r\nabc\r\n0\r\n" + b"X-T: y\r\n" * 3000 + b"\r\n", "400", "431"),
    "trailer request line": (b"3\r\nabc\r\n0\r\n" + SMUGGLED, "400"),
    "trailer space before colon": (b"3\r\nabc\r\n0\r\nX-T : y\r\n\r\n", "400"),
    "two bodies": (CHUNKS + CHUNKS, "POST / abc | 400", "POST / abc"),
    "empty": (b"0\r\n\r\n", "POST /"),
}

# Request lines, methods, versions, other protocols
REQUEST_LINES: dict[str, Row] = {
    "HTTP/0.9": (b"GET /\r\n\r\n", "400"),
    "HTTP/0.9 with version": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "400"),
    "HTTP/2.0 version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", "closed", "400"),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "400"),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "400"),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"),
    "HTTP/1": (b"GET / HTTP/1\r\nHost: a\r\n\r\n", "400"),
    "HTTP/11": (b"GET / HTTP/11\r\nHost: a\r\n\r\n", "400"),
    "http/1.1 lower": (b"GET / http/1.1\r\nHost: a\r\n\r\n", "400"),
    "HTTP / 1.1": (b"GET / HTTP / 1.1\r\nHost: a\r\n\r\n", "400"),
    "ICE version": (b"GET / ICE/1.1\r\nHost: a\r\n\r\n", "400"),
    "RTSP": (b"OPTIONS rtsp://a/b RTSP/1.0\r\nHost: a\r\nCSeq: 1\r\n\r\n", "400"),
    "version followed": (b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", "400"),
    "version trailing space": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"),
    "double space": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400", "GET /"),
    "tab separator": (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "no target": (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "empty target": (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "lower case method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "unknown method": (b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "FROB /", "400"),
    "M-SEARCH": (b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH /"),
    "PURGE": (b"PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", "PURGE /"),
    "QUERY": (b"QUERY / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "QUERY / abc"),
    "PROPFIND": (b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", "PROPFIND /"),
    "bad method": (b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "empty method": (b" / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "long method": (b"A" * 5000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "method with smuggle": (b"GET/ / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "CONNECT authority": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "501"),
    "CONNECT path": (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
    "CONNECT absolute": (b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
    "CONNECT with body": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED, "501"),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
    "TRACE with body": (b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "405"),
    "TRACK": (b"TRACK / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACK /", "400"),
    "HEAD with body": (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HEAD"),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), "400"),
    "SSH": (b"SSH-2.0-OpenSSH_9\r\n", "400"),
    "PROXY protocol": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), "400"),
    "PROXY v2": (b"\r\n\r\n\0\r\nQUIT\n" + bytes(16), "400"),
    "garbage": (b"\xff\xfe\xfd\r\n\r\n", "400"),
    "JSON": (b'{"a":1}\r\n\r\n', "400"),
}

# Host (RFC 9112 §3.2)
HOSTS: dict[str, Row] = {
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", "400"),
    "no Host 1.0": (b"GET / HTTP/1.0\r\n\r\n", "400"),
    "Host twice equal": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
    "Host twice unequal": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
    "Host space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
    "Host folded second": (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400"),
    "host lower, Host upper": (b"GET / HTTP/1.1\r\nhost: a\r\nHOST: b\r\n\r\n", "400"),
    "Host empty": (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", "400"),
    "Host comma": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
    "Host space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
    "Host port word": (b"GET / HTTP/1.1\r\nHost: a:http\r\n\r\n", "400"),
    "Host port empty": (b"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "400"),
    "Host port large": (b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"),
    "Host two ports": (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", "400"),
    "Host userinfo": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
    "Host path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
    "Host query": (b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "400"),
    "Host scheme": (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "400"),
    "Host IPv6": (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /"),
    "Host IPv6 bare": (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "400"),
    "Host IPv6 broken": (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"),
    "Host IPv6 zone": (b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", "400"),
    "Host quote": (b"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", "400"),
    "Host eight-bit": (b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", "400"),
    "Host percent": (b"GET / HTTP/1.1\r\nHost: %61\r\n\r\n", "400"),
    "Host backslash": (b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "400"),
    "Host hash": (b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "400"),
    "Host tab": (b"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", "400"),
    "Host port negative": (b"GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", "400"),
    "Host port plus": (b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", "400"),
    "Host long": (get().replace(b"a\r", b"a" * 300 + b"\r", 1), "400"),
    "Host dot first": (b"GET / HTTP/1.1\r\nHost: .a\r\n\r\n", "400"),
    "Host two dots": (b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", "400"),
    "Host dot last": (b"GET / HTTP/1.1\r\nHost: a.\r\n\r\n", "GET /"),
    "Host underscore": (b"GET / HTTP/1.1\r\nHost: a_b\r\n\r\n", "GET /"),
    "Host star": (b"GET / HTTP/1.1\r\nHost: *.a\r\n\r\n", "400"),
    "Host semicolon": (b"GET / HTTP/1.1\r\nHost: a;b\r\n\r\n", "400"),
    "Host IPv4": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET /"),
    "Host LF": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "GET /", "400"),
}

# Lines and octets of heads (RFC 9112 §2.2, §5)
HEADS: dict[str, Row] = {
    "fold": (get(b"X-A: b\r\n c\r\n"), "400"),
    "fold by tab": (get(b"X-A: b\r\n\tc\r\n"), "400"),
    "fold first": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
    "fold empty line": (get(b"X-A: b\r\n \r\n"), "400"),
    "fold of Host": (b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", "400"),
    "bare LF in fields": (b"GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", "GET /", "400"),
    "bare LF only": (b"GET / HTTP/1.1\nHost: a\n\n", "GET /", "400"),
    "bare LF after request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "GET /", "400"),
    "bare LF ends head": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "GET /", "400"),
    "bare LF LF smuggle": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n" + SMUGGLED, "GET / | GET /smuggled", "400"),
    "bare CR in value": (get(b"X-A: b\rc\r\n"), "400"),
    "bare CR in name": (get(b"X\r-A: b\r\n"), "400"),
    "bare CR ends line": (get(b"X-A: b\rX-B: c\r\n"), "400"),
    "CR CR LF": (get(b"X-A: b\r\r\n"), "400"),
    "bare CR only": (b"GET / HTTP/1.1\rHost: a\r\r", "400"),
    "bare CR in request line": (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "CR ends head": (b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", "400"),
    "NUL in value": (get(b"X-A: b\0c\r\n"), "400"),
    "NUL in name": (get(b"X\0A: b\r\n"), "400"),
    "NUL in target": (get(target=b"/\0"), "400"),
    "NUL in method": (b"G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "NUL in Host": (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "400"),
    "NUL first": (b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "control in value": (get(b"X-A: b\x01c\r\n"), "400"),
    "DEL in value": (get(b"X-A: b\x7fc\r\n"), "400"),
    "ESC in value": (get(b"X-A: \x1b[31m\r\n"), "400"),
    "obs-text in value": (get(b"X-A: \xe9\xff\r\n"), "GET /"),
    "space in name": (get(b"X A: b\r\n"), "400"),
    "space before colon": (get(b"X-A : b\r\n"), "400"),
    "no colon": (get(b"X-A\r\n"), "400"),
    "empty name": (get(b": b\r\n"), "400"),
    "empty value": (get(b"X-A:\r\n"), "GET /"),
    "bad name characters": (get(b"X@A(): b\r\n"), "400"),
    "eight-bit name": (get(b"X-\xe9: b\r\n"), "400"),
    "name with slash": (get(b"X/A: b\r\n"), "400"),
    "CRLF first": (b"\r\n" + get(), "GET /"),
    "many CRLF first": (b"\r\n" * 50 + get(), "GET /"),
    "space first": (b" " + get(), "400"),
    "LF first": (b"\n" + get(), "GET /"),
    "space before version": (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400", "GET /"),
}

# Targets (RFC 9112 §3.2, RFC 3986)
TARGETS: dict[str, Row] = {
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "GET *": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "authority-form GET": (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "host as target": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "relative target": (b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "query only target": (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "absolute-form": (b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x"),
    "absolute-form other host": (b"GET http://b.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y"),
    "absolute-form without path": (b"GET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
    "absolute-form without path, query": (b"GET http://b.example?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q"),
    "absolute-form https": (b"GET https://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x"),
    "absolute-form ftp": (b"GET ftp://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x", "400"),
    "absolute-form userinfo": (b"GET http://u:p@b.example/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x", "400"),
    "absolute-form no host": (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "absolute-form bad port": (b"GET http://b:x/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x", "400"),
    "absolute-form without Host": (b"GET http://b.example/x HTTP/1.1\r\n\r\n", "GET /x", "400"),
    "absolute-form bad Host": (b"GET http://b.example/x HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
    "absolute-form upper scheme": (b"GET HTTP://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x"),
    "file scheme": (b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "double slash target": (get(target=b"//b.example/x"), "GET /b.example/x"),
    "target with fragment": (get(target=b"/a#b"), "GET /a"),
    "target with backslash": (get(target=b"/a\\b"), "400"),
    "target eight-bit": (get(target=b"/\xe9"), "400"),
    "target with space": (get(target=b"/a b"), "400"),
    "target bad percent": (get(target=b"/%zz"), "400"),
    "target encoded NUL": (get(target=b"/%00"), "400"),
    "target above root": (get(target=b"/../x"), "400"),
    "target dots": (get(target=b"/a/%2e%2e/b"), "GET /b"),
    "target encoded slash dots": (get(target=b"/a/..%2fb"), "400"),
    "target encoded CRLF": (get(target=b"/a%0d%0aX:y"), "400"),
    "query with space": (get(target=b"/a?b c"), "400"),
    "query raw bytes": (get(target=b"/a?%zz&'\"<>[]{}|^`"), "400", "GET /a?%zz&'\"<>[]{}|^`"),
    "query eight-bit": (get(target=b"/a?\xe9"), "400"),
    "query fragment": (get(target=b"/a?b#c"), "GET /a?b"),
    "target overlong": (get(target=b"/%c0%ae%c0%ae/x"), "GET /%C0%AE%C0%AE/x"),
    "target semicolon dots": (get(target=b"/a/..;/b"), "400"),
    "target encoded backslash": (get(target=b"/a/%5c../b"), "400"),
    "target double encoded": (get(target=b"/a/%252e%252e/b"), "GET /a/%252e%252e/b"),
    "target control": (get(target=b"/a\x01b"), "400"),
    "target DEL": (get(target=b"/a\x7fb"), "400"),
    "target tab": (get(target=b"/a\tb"), "400"),
    "target brackets": (get(target=b"/a[]{}|^`<>\""), "400", "GET /a%5B%5D%7B%7D%7C%5E%60%3C%3E%22"),
}

# Upgrade and Expect (RFC 9110 §7.8, §10.1.1)
UPGRADES: dict[str, Row] = {
    "h2c upgrade": (get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), "GET /"),
    "h2c upgrade with body": (post(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "upgrade unknown": (get(b"Connection: Upgrade\r\nUpgrade: frob\r\n"), "GET /"),
    "upgrade without Connection": (get(b"Upgrade: websocket\r\n"), "GET /"),
    "upgrade TLS": (b"OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", "OPTIONS /"),
    "upgrade unknown, pipelined": (get(b"Connection: Upgrade\r\nUpgrade: frob\r\n") + SMUGGLED, "GET / | GET /smuggled"),
    "websocket to an upstream that knows none": (get(WEBSOCKET + VERSION + KEY), "GET /"),
    "websocket without key": (get(WEBSOCKET + VERSION), "400"),
    "websocket bad key": (get(WEBSOCKET + VERSION + b"Sec-WebSocket-Key: x\r\n"), "400"),
    "websocket bad version": (get(WEBSOCKET + b"Sec-WebSocket-Version: 12\r\n" + KEY), "400", "426"),
    "websocket without version": (get(WEBSOCKET + KEY), "400"),
    "websocket POST": (post(WEBSOCKET + VERSION + KEY + b"Content-Length: 3", b"abc"), "400", "POST / abc"),
    "websocket 1.0": (b"GET / HTTP/1.0\r\n" + HOST + WEBSOCKET + VERSION + KEY + b"\r\n", "400", "GET /"),
    "websocket bad, then another": (get(WEBSOCKET + VERSION) + SMUGGLED, "400 | GET /smuggled", "400"),
    "websocket bad, with a body": (
        get(WEBSOCKET + VERSION + b"Content-Length: %d\r\n" % len(SMUGGLED)) + SMUGGLED,
        "400",
        "GET / GET /smuggled HTTP/1.1\r\nHost: a",
    ),
    "expect other": (post(b"Expect: 200-ok\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "expect twice": (post(b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "expect list": (post(b"Expect: 100-continue, x\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "expect obfuscated": (post(b"Expect: y 100-continue\r\nContent-Length: 3", b"abc"), "POST / abc"),
    "expect on GET": (get(b"Expect: 100-continue\r\n"), "GET /"),
    "expect 1.0": (b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "POST / abc"),
}

# Giant heads
SIZES: dict[str, Row] = {
    "long target": (get(target=b"/" + b"a" * 9000), "GET /" + "a" * 9000),
    "very long target": (get(target=b"/" + b"a" * 70000), "431"),
    "giant header": (get(b"X-A: " + b"a" * 70000 + b"\r\n"), "431"),
    "giant name": (get(b"a" * 70000 + b": b\r\n"), "431"),
    "1000 headers": (get(b"X-A: b\r\n" * 1000), "431"),
    "101 headers": (get(b"X-A: b\r\n" * 100), "431"),
    "100 headers": (get(b"X-A: b\r\n" * 99), "GET /"),
    "17 KiB in small headers": (get(b"".join(b"X-%d: %b\r\n" % (i, b"a" * 400) for i in range(42))), "431"),
    "15 KiB": (get(b"X-A: " + b"a" * 15000 + b"\r\n"), "GET /"),
    "endless head": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 50000, "431"),
    "endless line": (b"GET /" + b"a" * 400000, "431"),
}

# fmt: on


def _rows() -> Iterator[tuple[str, bytes, str, str]]:
    for name, (spelling, granian, *other) in CODINGS.items():
        yield f"Transfer-Encoding: {name}", post(spelling, CHUNKS), granian, other[0] if other else granian
        # hyper lets the coding win, drops the length and ends the connection (RFC 9112 §6.3); llhttp refuses both together
        beside = post(b"Content-Length: 4\r\n" + spelling, CHUNKS)
        yield f"Transfer-Encoding and Content-Length: {name}", beside, granian, "400"
    for name, (value, granian, *other) in LENGTHS.items():
        yield (
            f"Content-Length: {name}",
            post(b"Content-Length: " + value, b"abc"),
            granian,
            other[0] if other else granian,
        )
    for name, (body, granian, *other) in CHUNKED.items():
        yield f"chunks: {name}", post(TE, body), granian, other[0] if other else granian
    for group in (FRAMING, REQUEST_LINES, HOSTS, HEADS, TARGETS, UPGRADES, SIZES):
        for name, (raw, granian, *other) in group.items():
            yield name, raw, granian, other[0] if other else granian


TABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    name: (raw, {"granian": granian, "uvicorn": uvicorn}) for name, raw, granian, uvicorn in _rows()
}
