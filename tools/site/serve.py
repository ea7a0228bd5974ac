"""A server for the built site on this machine: ``python -m tools.site.serve`` (``make serve``).

Text is sent compressed and an unknown address gets the book's own page for it, as on a good host.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

HTML = Path(__file__).resolve().parent.parent.parent / "_build" / "html"


class Pages(StaticFileHandler):
    """Files of the site, with its ``404.html`` for everything else."""

    def write_error(self, status_code: int, **details: object) -> None:
        """Send the page for unknown addresses."""
        page = Path(self.root) / "404.html"
        if status_code == 404 and page.exists():
            self.finish(page.read_bytes())
        else:
            super().write_error(status_code, **details)


def start(folder: Path, port: int) -> int:
    """Serve ``folder`` on this machine from the running event loop; return the port.

    Port 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    options = {"path": str(folder), "default_filename": "index.html"}
    application = Application([(r"/(.*)", Pages, options)], compress_response=True)
    sockets = bind_sockets(port, "127.0.0.1")
    HTTPServer(application).add_sockets(sockets)
    return sockets[0].getsockname()[1]


async def serve(folder: Path, port: int) -> None:
    """Serve ``folder`` until interrupted."""
    print(f"http://127.0.0.1:{start(folder, port)}/ (stop with Ctrl+C)", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python -m tools.site.serve --port 8001",
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--folder", type=Path, default=HTML, help="default: _build/html")
    given = parser.parse_args()
    if not (given.folder / "index.html").exists():
        raise SystemExit(f"{given.folder / 'index.html'} does not exist: run make book first")
    try:
        asyncio.run(serve(given.folder, given.port))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise SystemExit(f"port {given.port}: {error.strerror}. Try make serve PORT=8001") from None


if __name__ == "__main__":
    main()
