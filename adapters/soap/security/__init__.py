"""WS-Security: the wsse:Security header of requests, and what it proves about answers."""
