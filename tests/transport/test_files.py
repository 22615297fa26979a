"""Files as ends of streams."""

import hashlib
import os
import stat

import pytest

from lightwork.transport.files import BytesSource, FileSink, FileSource


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def test_a_file_in_pieces_from_an_offset(tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")
    source = FileSource(tmp_path / "f", 2)
    assert [source.read(3) for _ in range(4)] == [b"234", b"567", b"89", b""]
    source.close()
    source.close()


def test_a_missing_file_fails_when_it_is_read(tmp_path):
    source = FileSource(tmp_path / "none")
    with pytest.raises(OSError, match="none"):
        source.read(1)
    source.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_nobody_waits_at_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    source = FileSource(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is no plain file"):
        source.read(1)
    source.close()


def test_bytes_from_an_offset():
    source = BytesSource(b"0123456789", 5)
    assert [bytes(source.read(3)) for _ in range(3)] == [b"567", b"89", b""]
    source.close()


def test_a_sink_puts_the_file_there_when_it_is_whole(tmp_path):
    ended: list[str] = []
    sink = FileSink(tmp_path / "f", ended.append, digest(b"abcdef"), mode=0o755)
    assert sink.write(b"abc") == 3
    assert not (tmp_path / "f").exists()
    sink.write(b"def")
    sink.finish()
    assert ended == [""]
    assert (tmp_path / "f").read_bytes() == b"abcdef"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o755
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("how", ["digest", "fail", "discard"])
def test_a_sink_leaves_nothing_behind(tmp_path, how):
    (tmp_path / "f").write_bytes(b"before")
    ended: list[str] = []
    sink = FileSink(tmp_path / "f", ended.append, digest(b"other"))
    sink.write(b"abc")
    if how == "digest":
        sink.finish()
        assert "not what was asked for" in ended[0]
    elif how == "fail":
        sink.fail("the node is gone")
        assert ended == ["the node is gone"]
    else:
        sink.discard()
        assert ended == []
        assert sink.write(b"late") == 0
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"before"


def test_a_full_disk_fails_the_stream_only():
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    from tests.transport.links import Pair, Recorder, Zeros, run, until

    ended: list[str] = []
    source = Zeros(1 << 20)

    class FullSink(FileSink):
        def write(self, piece):
            with open("/dev/full", "wb", buffering=0) as file:
                return file.write(piece)

    async def work():
        import tempfile

        with tempfile.TemporaryDirectory() as directory:
            async with Pair("unix", server_side=Recorder(lambda fetch: source)) as pair:
                pair.client.fetch("blob", "x", FullSink(f"{directory}/f", ended.append))
                await until(lambda: ended)
                assert "No space" in ended[0]
                assert pair.client.up
                await until(lambda: source.closed)
                assert os.listdir(directory) == []

    run("asyncio", work)


def test_a_place_that_is_gone_fails_the_stream_only(tmp_path):
    from tests.transport.links import Pair, Recorder, Zeros, run, until

    ended: list[str] = []

    async def work():
        async with Pair("memory", server_side=Recorder(lambda fetch: Zeros(10))) as pair:
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "x").touch()
            pair.client.fetch("blob", "x", FileSink(tmp_path / "f", ended.append))
            await until(lambda: ended)
            assert ended[0]
            assert os.listdir(tmp_path) == ["f"]

    run("asyncio", work)
