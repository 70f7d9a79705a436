"""Downloads: once, whole, unchanged, or not at all."""

import errno
import gzip
import http.server
import socket
import threading
import time
from pathlib import Path

import pytest

from vitreous.core import InputError
from vitreous.io import fetch_structure, structure_cache_folder

CONTENT = gzip.compress(b"data_1BXN\n" * 1000)


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, body, announced = self.server.reply
        self.send_response(status)
        if announced is not None:
            self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.asked = []
        running.reply = (200, CONTENT, len(CONTENT))
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def test_a_structure_is_downloaded_once(server, tmp_path):
    file = fetch_structure(" 4V94", folder=tmp_path / "new", server=server.address)
    assert file == tmp_path / "new" / "4v94.cif.gz"
    assert file.read_bytes() == CONTENT
    assert fetch_structure("4v94", folder=tmp_path / "new", server=server.address) == file
    assert server.asked == ["/4V94.cif.gz"]
    assert {f.name for f in file.parent.iterdir()} == {"4v94.cif.gz", "4v94.cif.gz.sha256"}


def test_a_changed_file_is_refused_until_it_is_deleted(server, tmp_path):
    file = fetch_structure("1bxn", folder=tmp_path, server=server.address)
    file.write_bytes(gzip.compress(b"another"))
    with pytest.raises(InputError, match="has changed") as caught:
        fetch_structure("1bxn", folder=tmp_path, server=server.address)
    assert str(file) in str(caught.value)
    assert "delete it" in str(caught.value)
    file.unlink()
    assert fetch_structure("1bxn", folder=tmp_path, server=server.address).read_bytes() == CONTENT


def test_a_file_without_checksum_is_not_trusted(server, tmp_path):
    (tmp_path / "1bxn.cif.gz").write_bytes(b"half of someth")
    assert fetch_structure("1bxn", folder=tmp_path, server=server.address).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, CONTENT[:-40], len(CONTENT)), "cut off"),
        ((200, CONTENT[:-40], None), "cut off"),
        ((200, CONTENT[:-40] + b"\0" * 40, None), "damaged"),
        ((200, b"<html>log in first</html>", None), "damaged"),
        ((200, gzip.compress(b""), None), "damaged"),
        ((404, b"", 0), "no such entry"),
        ((503, b"", 0), "answered 503"),
    ],
)
def test_a_failed_download_leaves_nothing_behind(server, tmp_path, reply, words):
    server.reply = reply
    with pytest.raises(InputError, match=words) as caught:
        fetch_structure("1bxn", folder=tmp_path / "new", server=server.address)
    assert "phantom:" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_without_connection_it_fails_at_once(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(InputError, match=r"no connection .*local .*phantom:NAME"):
            fetch_structure("1bxn", folder=tmp_path, server=address)
    assert time.monotonic() - start < 5
    with pytest.raises(InputError, match="no connection"):
        fetch_structure("1bxn", folder=tmp_path, server="http://nowhere.invalid")


def test_a_silent_server_is_given_up(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="no connection"):
            fetch_structure("1bxn", folder=tmp_path, server=address, timeout_seconds=0.2)


def test_a_cache_that_cannot_be_written_to_is_told_by_its_name(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").touch()
    for folder, words in ((tmp_path / "file" / "structures", "is a file"), (tmp_path / "new", "full")):
        with pytest.raises(InputError, match=words) as caught:
            fetch_structure("1bxn", folder=folder, server=server.address)
        assert "set VITREOUS_CACHE" in str(caught.value)
        assert "-o" not in caught.value.remedy
        monkeypatch.setattr(Path, "write_bytes", full)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", "bxn", "abcd", "1bx", "1bxnn", "../1", "1b/n", "1BX\n"])
def test_what_is_no_id_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no PDB id"):
        fetch_structure(name, folder=tmp_path, server="http://nowhere.invalid")


def test_the_environment_names_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VITREOUS_CACHE", str(tmp_path))
    assert structure_cache_folder() == tmp_path / "structures"
    monkeypatch.delenv("VITREOUS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert structure_cache_folder() == tmp_path / ".cache" / "vitreous" / "structures"
