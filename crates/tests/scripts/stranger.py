"""A stranger's HTTP/2 client: speaks to a gateway as the CONNECT proxy that it is.

Arguments: port, client certificate chain, client key, gateway root, approved authority, other authority.
What it connects to is the raw pipe through relay and tunnel. Prints one JSON object.
"""

import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events

PORT, CHAIN, KEY, ROOT, APPROVED, OTHER = sys.argv[1:7]


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(CHAIN, KEY)
    context.load_verify_locations(ROOT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", int(PORT)), timeout=20)
    tls = context.wrap_socket(raw)
    session = Session(tls)
    request = b"GET / HTTP/1.0\r\n\r\n"
    print(json.dumps({
        "tls": tls.version(),
        "alpn": tls.selected_alpn_protocol(),
        "approved": session.connect(APPROVED, request),
        "other": session.connect(OTHER, request),
    }))


class Session:
    def __init__(self, tls):
        self.tls = tls
        # The library's own check knows no CONNECT: it demands the :path that RFC 9113 section 8.5 forbids there.
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config=config)
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.tls.sendall(self.h2.data_to_send())

    def connect(self, authority, payload):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", authority)])
        self.flush()
        answer = {"status": None, "reason": None, "body": "", "reset": False}
        while True:
            data = self.tls.recv(65536)
            if not data:
                raise SystemExit("the gateway ended the connection")
            for event in self.h2.receive_data(data):
                if getattr(event, "stream_id", None) not in (None, stream):
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    headers = dict(event.headers)
                    answer["status"] = int(headers[":status"])
                    answer["reason"] = headers.get("postern-reason")
                    if answer["status"] == 200:
                        self.h2.send_data(stream, payload, end_stream=True)
                elif isinstance(event, h2.events.DataReceived):
                    answer["body"] += event.data.decode("latin-1")
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamReset):
                    answer["reset"] = True
                    self.flush()
                    return answer
                elif isinstance(event, h2.events.StreamEnded):
                    self.flush()
                    return answer
            self.flush()


main()
