# A WSGI application, whose environment has `-` and `_` of a field as one letter: what it believes of each request, as JSON.
# usage: app.py PORT
import json
import sys
import wsgiref.simple_server


def application(environ, start_response):
    def last(name):
        value = environ.get(name)
        return value.split(",")[-1].strip() if value else None

    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    believes = {
        "scheme": last("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"],
        "host": last("HTTP_X_FORWARDED_HOST") or environ["HTTP_HOST"],
        "port": last("HTTP_X_FORWARDED_PORT"),
        "client": last("HTTP_X_FORWARDED_FOR") or environ["REMOTE_ADDR"],
        "prefix": environ.get("HTTP_X_FORWARDED_PREFIX", ""),
        "user": environ.get("HTTP_X_USER", ""),
        "target": environ["PATH_INFO"] + ("?" + environ["QUERY_STRING"] if environ["QUERY_STRING"] else ""),
        "method": environ["REQUEST_METHOD"],
        "body": body.decode("latin-1"),
    }
    text = json.dumps(believes).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


with wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=Quiet) as server:
    server.serve_forever()
