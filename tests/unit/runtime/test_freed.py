"""What an earlier configuration built goes with its last request, not when the collector looks, which is seldom."""

import asyncio
import gc
import types
from pathlib import Path

import gateway.demo
from gateway.compile import Compiler
from gateway.runtime.delta import difference
from gateway.runtime.installed_plane import make_plane

DEMO = Path(gateway.demo.__file__).parent / "config"
TEXT = f"""
version: 1
listen: {{port: 8080}}
upstreams:
  stock: {{targets: ["http://127.0.0.1:9"]}}
  mainframe: {{targets: ["tcp://127.0.0.1:9"], framing: {{length_prefix: 2}}}}
defaults:
  policies: {{request_size: {{max: 64KiB}}}}
routes:
  - name: stock
    match: {{method: GET, path: "/stock/{{item}}"}}
    public: true
    upstream: stock
    adapter:
      soap: {{wsdl: "{DEMO}/wsdl/stock.wsdl", operation: GetStock, request: {{Item: "{{path.item}}"}}, safe: true}}
  - name: customer
    match: {{method: GET, path: "/customers/{{id}}"}}
    public: true
    upstream: mainframe
    adapter:
      fixed_width:
        request: {{copybook: "{DEMO}/copybooks/inquiry.cpy", codepage: cp037, values: {{CUSTOMER-ID: "{{path.id}}"}}}}
        response: {{copybook: "{DEMO}/copybooks/customer.cpy", codepage: cp037, record_format: odo}}
        safe: true
"""


def test_codecs_of_an_earlier_configuration_are_freed_without_the_collector(tmp_path):
    compiler = Compiler(tmp_path)
    plans = []
    for text in (TEXT, TEXT.replace("64KiB", "63KiB")):
        (tmp_path / "gateway.yaml").write_text(text)
        plans.append(compiler.compile().plan)
    first, second = plans

    async def left_over() -> list[object]:
        plane = make_plane(1)
        plane.commit(await plane.prepare(difference(None, first)))
        plane.commit(await plane.prepare(difference(first, second)))
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            plane.commit(await plane.prepare(difference(second, first)))
            for _ in range(100):
                await asyncio.sleep(0)  # what is dismantled gives way to requests in between
            gc.collect()
            found = [one for one in gc.garbage if isinstance(one, types.FunctionType | types.MethodType)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        await plane.close()
        return found

    assert asyncio.run(left_over()) == []
