"""Whatever is cut or flipped in a journal: the same state, a prefix that is said, or a refusal. Never a wrong state.

The same for what disks really do: blocks that are zero, garbage, of yesterday, or somewhere else.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.store.journals import CURRENT, LOG, MAIN, SEEN, Files, Writer, bodies_of, crash, outcome, quick_folder

ROWS = 500
ROUNDS = 250  # of each test here: 2,000 in all
LOG_OFFSETS = 5_000
STEP = 20  # rows in one transaction

pytestmark = pytest.mark.slow

Damage = Callable[[bytearray, int, random.Random], None]


class Journals:
    """One that was folded into its file; one with a log; one whose log was begun anew; and earlier days of this one."""

    def __init__(self) -> None:
        self.bodies = bodies_of(ROWS)
        with quick_folder() as folder:
            writer = Writer(folder / "folded")
            writer.append(self.bodies)
            writer.close()
            self.folded = Files(folder / "folded")
            self.logged, _ = self._logged(folder, "logged", 200, 500)
            self.anew, self.earlier = self._logged(folder, "anew", 440, 440)

    def _logged(self, folder, name: str, folded: int, checkpoint: int) -> tuple[Files, list[Files]]:
        """Rows below `folded` in the file; a checkpoint at another row, so that the log is begun anew."""
        writer = Writer(folder / name)
        earlier = []
        if folded < checkpoint:
            writer.append(self.bodies[:folded])
            writer.file.fold()
        for at in range(len(writer.bodies), ROWS, STEP):
            if at == checkpoint:
                writer.file._logged = 1 << 30
                writer.file.tidy()
            writer.append(self.bodies[at : at + STEP])
            if at % (STEP * 6) == 0:
                crash(folder / name, folder / "copy")
                earlier.append(Files(folder / "copy"))
        crash(folder / name, folder / "copy")
        writer.close()
        return Files(folder / "copy"), earlier


@pytest.fixture(scope="module")
def journals() -> Journals:
    return Journals()


def damaged(files: Files, name: str, content: bytes, bodies: list[bytes]) -> str:
    """What comes of it; the folder is laid down anew for each."""
    with quick_folder() as folder:
        files.lay(folder / "x", **{name.replace("-", "_").replace(".", "_"): content})
        found = outcome(folder / "x", bodies)
    if content == files.content[name]:
        assert (found.kind, found.text) == ("same", "")
    return found.kind


def flip(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] ^= 1 << chance.randrange(8)


def cut(data: bytearray, at: int, chance: random.Random) -> None:
    del data[at:]


def zeros(data: bytearray, at: int, chance: random.Random) -> None:
    at = at // 512 * 512
    size = chance.choice([512, 4096])
    data[at : at + size] = bytes(len(data[at : at + size]))


def noise(data: bytearray, at: int, chance: random.Random) -> None:
    size = chance.choice([2, 24, 512, 4096])
    data[at : at + size] = chance.randbytes(len(data[at : at + size]))


def moved(data: bytearray, at: int, chance: random.Random) -> None:
    at, source = at // 512 * 512, chance.randrange(len(data)) // 512 * 512
    found = data[source : source + 512]
    data[at : at + len(found)] = found


def doubled(data: bytearray, at: int, chance: random.Random) -> None:
    data[at:at] = data[at : at + 4120]


@pytest.mark.parametrize("damage", [flip, cut, zeros, noise, moved, doubled])
def test_the_file(journals, damage):
    chance = random.Random(str(damage))
    found = Counter(kind for kind in rounds(journals.folded, MAIN, damage, journals.bodies, chance, ROUNDS // 3))
    assert found["prefix"] == 0, "damage in the main file is refused"
    assert found["refused"] > ROUNDS // 10


@pytest.mark.parametrize("kind", ["logged", "anew"])
@pytest.mark.parametrize("damage", [flip, cut, zeros, noise, moved, doubled])
def test_the_log_and_its_file(journals, damage, kind):
    chance = random.Random(f"{damage} {kind}")
    files = getattr(journals, kind)
    found = Counter(rounds(files, LOG, damage, journals.bodies, chance, ROUNDS // 3))
    found += Counter(rounds(files, MAIN, damage, journals.bodies, chance, ROUNDS // 6))
    assert found["refused"] or damage is cut
    assert found["prefix"] or damage is not cut


@pytest.mark.parametrize("name", [CURRENT, SEEN])
@pytest.mark.parametrize("damage", [flip, cut, noise])
def test_the_small_files(journals, damage, name):
    chance = random.Random(f"{damage} {name}")
    found = set(rounds(journals.logged, name, damage, journals.bodies, chance, ROUNDS // 10))
    assert found <= ({"refused", "same"} if name == CURRENT else {"same"})


def test_a_log_that_is_damaged_in_the_middle(journals):
    """SQLite would go on without a word, and write over what it has dropped."""
    content = bytearray(journals.logged.content[LOG])
    content[len(content) // 3] ^= 1
    with quick_folder() as folder:
        journals.logged.lay(folder / "x", journal_1_sqlite_wal=bytes(content))
        found = outcome(folder / "x", journals.bodies)
        assert found.kind == "refused"
        assert "frame" in found.text
        assert (folder / "x" / LOG).read_bytes() == bytes(content)


def test_an_empty_file_beside_its_log(journals):
    """SQLite would take it for a new one and delete the log."""
    for content in (b"", bytes(4096), journals.logged.content[MAIN][:4096]):
        with quick_folder() as folder:
            journals.logged.lay(folder / "x", journal_1_sqlite=content)
            assert outcome(folder / "x", journals.bodies).kind == "refused"
            assert (folder / "x" / LOG).read_bytes() == journals.logged.content[LOG]


def test_a_page_that_would_spoil_what_comes_later(journals):
    """All rows are right, but the page says that it has other free bytes than it has."""
    content = bytearray(journals.folded.content[MAIN])
    leaves = [at for at in range(4096, len(content), 4096) if content[at] == 13]
    content[leaves[-1] + 7] ^= 8
    assert damaged(journals.folded, MAIN, bytes(content), journals.bodies) == "refused"


def test_blocks_of_yesterday(journals):
    """A write that the disk confirmed and never did: the block is an older one of the same place, and valid."""
    chance = random.Random(5)
    for _ in range(ROUNDS // 2):
        name = chance.choice([MAIN, LOG])
        content = bytearray(journals.anew.content[name])
        older = chance.choice(journals.earlier).content[name]
        size = chance.choice([512, 4096, 4120, 1 << 20])
        at = chance.randrange(len(content)) // 512 * 512
        block = older[at : at + size][: len(content) - at]
        content[at : at + len(block)] = block
        damaged(journals.anew, name, bytes(content), journals.bodies)


def test_whole_files_of_yesterday(journals):
    """A file that was put back alone, without the others."""
    for earlier in journals.earlier:
        for name in (MAIN, LOG):
            damaged(journals.anew, name, earlier.content[name], journals.bodies)


def test_files_that_are_missing(journals):
    for name in (MAIN, LOG, CURRENT, SEEN):
        with quick_folder() as folder:
            journals.logged.lay(folder / "x")
            (folder / "x" / name).unlink()
            assert outcome(folder / "x", journals.bodies).kind == {LOG: "prefix", SEEN: "same"}.get(name, "refused")


def rounds(
    files: Files, name: str, damage: Damage, bodies: list[bytes], chance: random.Random, count: int
) -> Iterator[str]:
    for _ in range(count):
        content = bytearray(files.content[name])
        damage(content, chance.randrange(len(content)), chance)
        yield damaged(files, name, bytes(content), bodies)


@pytest.mark.soak
@pytest.mark.parametrize("damage", [flip, cut])
def test_every_byte_of_the_file(journals, damage):
    chance = random.Random(1)
    for at in range(len(journals.folded.content[MAIN])):
        content = bytearray(journals.folded.content[MAIN])
        damage(content, at, chance)
        assert damaged(journals.folded, MAIN, bytes(content), journals.bodies) != "prefix"


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["logged", "anew"])
@pytest.mark.parametrize("damage", [flip, cut])
def test_many_bytes_of_the_log(journals, damage, kind):
    chance = random.Random(2)
    files = getattr(journals, kind)
    size = len(files.content[LOG])
    for at in sorted(chance.sample(range(size), min(LOG_OFFSETS, size))):
        content = bytearray(files.content[LOG])
        damage(content, at, chance)
        damaged(files, LOG, bytes(content), journals.bodies)
