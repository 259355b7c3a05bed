"""What each process of a queue does, one system call at a time: the single source for the model and for the code's check.

A program is a generator of calls (tuples whose first word is the kind) that is sent the answers. `naive` names the rules
that a program leaves out, so that the search can show what each of them is for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from .model_disk import CLAIMED, DONE, FAILED, MARKS, PENDING, TMP, TORN, TRASH, Body

Call = tuple[Any, ...]
Program = Generator[Call, Any, Any]
Naive = frozenset[str]
SECOND = "~2"


class Item(NamedTuple):
    """One held file and what becomes of it: `new` is None where it is moved as it stands.

    `ran` is set by the worker that ran it, `lost` by the rescuer of one that did.
    """

    held: str
    to: str
    old: Body
    new: Body | None = None
    ran: bool = False
    lost: bool = False


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def folders(owner: str) -> tuple[str, ...]:
    return (CLAIMED + owner,) if owner.startswith("op") else (CLAIMED + owner, CLAIMED + owner + SECOND)


def after(body: Body, outcome: str, by: str) -> Body:
    """The body that records an outcome: done, failed, again (attempts left), release, or cancelled by a person."""
    attempts = body.attempts if outcome in ("release", "cancelled") else body.attempts + 1
    end = {"done": DONE, "failed": FAILED, "cancelled": FAILED}.get(outcome, "")
    return body._replace(attempts=attempts, version=body.version + 1, end=end, by=by)


def reopened(body: Body) -> Body:
    return body._replace(request=body.request + 1, attempts=0, end="")


# -- in


def write_all(me: str, bodies: list[Body], group: bool, naive: Naive) -> Program:
    """Temporary files [F]; the paths and inodes of them."""
    made = []
    for number, body in enumerate(bodies):
        path = f"{TMP}/{me}.{number}.{body.version}"
        inode = yield ("create", path)
        yield ("write", inode, body, path)
        if not group and "sync file" not in naive:
            yield ("sync", inode, path)
        made.append((path, inode))
    if group and "sync file" not in naive:
        yield ("sync all",)
    return made


def place(source: str, folder: str, name: str, naive: Naive) -> Program:
    """One rename that never overwrites; a taken name gets a number behind it. "" where the file is gone."""
    number = 0
    while True:
        target = f"{folder}/{name}" + (f"~{number}" if number else "")
        answer = yield ("move over" if "no overwrite" in naive else "move", source, target)
        if answer != "taken":
            return target if answer == "ok" else ""
        number += 1


def enqueue(me: str, jobs: tuple[tuple[str, str], ...], group: bool, naive: Naive) -> Program:
    """Jobs as (job, file name)."""
    bodies = [Body(job) for job, _ in jobs]
    if "temporary file" in naive:
        for body, (_, name) in zip(bodies, jobs, strict=True):
            inode = yield ("create", f"{PENDING}/{name}")
            yield ("write", inode, body, f"{PENDING}/{name}")
        return
    made = yield from write_all(me, bodies, group, naive)
    target = ""
    for (path, _), (_, name) in zip(made, jobs, strict=True):
        target = yield from place(path, PENDING, name, naive)
    yield ("note", "announce")
    if "sync folder" not in naive:
        yield ("sync folder", PENDING)
        yield ("sync", made[-1][1], target)
    for body in bodies:
        yield ("told", "enqueued", body.job, -1, body.version)
    yield ("note", "journal")


# -- through


def claim(me: str, owner: str, naive: Naive) -> Program:
    """(path, body) of a job that is ours now, or None."""
    for name in (yield ("list", PENDING)):
        seen = yield ("read", f"{PENDING}/{name}")
        if seen is None or seen[1] == TORN:
            continue
        inode, body = seen
        body = reopened(body) if body.end else body
        second = SECOND if body.by == CLAIMED + owner and "two folders" not in naive else ""
        path = yield from take(me, f"{PENDING}/{name}", CLAIMED + owner + second, name, seen, naive)
        if not path:
            continue
        if "look after claim" not in naive and (yield ("inode", path)) != inode:
            yield from place(path, PENDING, name, naive)
            continue
        if (yield ("exists", f"{MARKS}/{name}")):
            yield from place(path, PENDING, name, naive)
            if not (yield from operate(me, name, "cancelled", (PENDING,), naive)):
                yield ("unlink", f"{MARKS}/{name}")
            continue
        return path, body
    return None


def take(me: str, source: str, folder: str, name: str, seen: tuple[str, Body], naive: Naive) -> Program:
    if "claim by rename" not in naive:
        path = yield from place(source, folder, name, naive)
        if path and "no rewrite at claim" in naive:
            made = yield from write_all(me + "c", [seen[1]._replace(by=folder)], False, naive | {"sync file"})
            yield ("move over", made[0][0], path)
        return path
    inode = yield ("create", f"{folder}/{name}")
    yield ("write", inode, seen[1], f"{folder}/{name}")
    yield ("unlink", source)
    return f"{folder}/{name}"


def work(me: str, owner: str, rounds: tuple[str, ...], naive: Naive) -> Program:
    """A worker: for each round one claim, and the outcome that its handler comes to."""
    if not (yield ("lock", owner)):
        return
    for outcome in rounds:
        claimed = yield from claim(me, owner, naive)
        if claimed is None:
            continue
        path, body = claimed
        yield ("run", body)
        asked = yield ("exists", f"{MARKS}/{name_of(path)}")
        if asked and outcome in ("again", "release"):
            outcome = "failed"
        new = after(body, outcome, path.rpartition("/")[0])
        yield from carry_out(me, [Item(path, new.end or PENDING, body, new, ran=True)], naive)


# -- out


def carry_out(me: str, items: list[Item], naive: Naive) -> Program:
    """Temporary files [F], exchanges, renames [D]: the way of every outcome. What each file became, "" where it was gone."""
    if "body first" in naive:
        return (yield from move_then_write(me, items, naive))
    if "publish by rename" in naive:
        return (yield from write_then_unlink(items))
    written = [item for item in items if item.new is not None]
    made = yield from write_all(me, [item.new for item in written if item.new], False, naive)
    gone = set()
    for item, (path, _) in zip(written, made, strict=True):
        kind = "move over" if "exchange" in naive else "swap"
        if (yield (kind, path, item.held)) == "gone":
            gone.add(item.held)
        elif item.ran:
            yield ("recorded", item.old, item.new)
    if any(item.ran or item.lost for item in items):
        yield ("note", "journal")
    ended = [item for item in items if item.held not in gone and (item.to in (DONE, FAILED) or "mark stays" in naive)]
    if "unmark before" not in naive:
        yield from unmark(ended, naive)
    placed = []
    for item in items:
        placed.append("" if item.held in gone else (yield from place(item.held, item.to, name_of(item.held), naive)))
    if "sync folder" not in naive:
        witness = next((path for path in placed if path), "")
        inode = yield ("inode", witness)
        for folder in sorted({item.to for item in items}):
            yield ("sync folder", folder)
        if inode:
            yield ("sync", inode, witness)
    for path, _ in made:
        yield ("unlink", path)
    if "unmark before" in naive:
        yield from unmark(ended, naive)
    for item, path in zip(items, placed, strict=True):
        yield from tell(item, path, naive)
    return placed


def unmark(items: list[Item], naive: Naive) -> Program:
    """Once the end of a job stands in its claim folder nobody looks for its mark any more; before it moves."""
    marked = []
    for item in items:
        if (yield ("exists", f"{MARKS}/{name_of(item.held)}")):
            marked.append(f"{MARKS}/{name_of(item.held)}")
    for path in marked:
        yield ("unlink", path)
    if marked and "sync folder" not in naive and "unmark durably" not in naive:
        yield ("sync folder", MARKS)


def write_then_unlink(items: list[Item]) -> Program:
    for item in items:
        target = f"{item.to}/{name_of(item.held)}"
        inode = yield ("create", target)
        if inode:
            yield ("write", inode, item.new or item.old, target)
        if item.ran:
            yield ("recorded", item.old, item.new)
        yield ("unlink", item.held)


def move_then_write(me: str, items: list[Item], naive: Naive) -> Program:
    for item in items:
        path = yield from place(item.held, item.to, name_of(item.held), naive)
        if path and item.new is not None:
            made = yield from write_all(me, [item.new], False, naive)
            yield ("move over", made[0][0], path)
        yield from tell(item, path, naive)


def tell(item: Item, path: str, naive: Naive) -> Program:
    """What the caller learns. A rescuer acts for nobody, so it acknowledges nothing."""
    if not path and item.ran:
        yield ("dropped", item.old)
    elif path and item.new is not None and "silent" not in naive:
        yield ("told", item.to, item.new.job, item.old.version, item.new.version)


def rescue(me: str, owners: tuple[str, ...], naive: Naive) -> Program:
    for owner in owners:
        if "owner is dead" not in naive:
            if (yield ("alive", owner)) or not (yield ("lock", owner)):
                continue
            if "lock while acting" in naive:
                yield ("unlock", owner)
        yield from recover(me, owner, naive)
        if "owner is dead" not in naive and "lock while acting" not in naive:
            yield ("unlock", owner)


def recover(me: str, owner: str, naive: Naive) -> Program:
    items = []
    for folder in folders(owner):
        for name in (yield ("list", folder)):
            seen = yield ("read", f"{folder}/{name}")
            if seen is not None and seen[1] != TORN:
                items.append((yield from recovery(f"{folder}/{name}", owner, seen[1], naive)))
    if not items:
        return
    yield from carry_out(me, items, naive | {"silent"})


def recovery(path: str, owner: str, body: Body, naive: Naive) -> Program:
    recorded = body.by == path.rpartition("/")[0] and "outcome counts" not in naive
    if owner.startswith("op") or recorded:
        return Item(path, body.end or PENDING, body, lost=not owner.startswith("op"))
    body = reopened(body) if body.end and "outcome counts" not in naive else body._replace(end="")
    asked = yield ("exists", f"{MARKS}/{name_of(path)}")
    new = after(body, "cancelled" if asked else "again", path.rpartition("/")[0])
    return Item(path, new.end or PENDING, body, new, lost=True)


# -- people


def operate(me: str, name: str, verb: str, allowed: tuple[str, ...], naive: Naive) -> Program:
    """cancelled or retried: through a claim folder of its own operation. The place where it was refused, or ""."""
    owner = f"op{me}"
    yield ("lock", owner)
    yield ("note", "mkdir")
    found = yield ("find", name)
    held = f"{CLAIMED}{owner}/{name}"
    while found and found.rpartition("/")[0] in allowed:
        if (yield ("move", found, held)) == "ok":
            break
        found = yield ("find", name)
    else:
        yield ("note", "rmdir")
        yield ("unlock", owner)
        return found or "nowhere"
    _, body = yield ("read", held)
    if verb == "retried":
        again = body._replace(
            request=body.request + 1, attempts=0, version=body.version + 1, end="", by=held.rpartition("/")[0]
        )
        yield from carry_out(me, [Item(held, PENDING, body, again)], naive)
    else:
        new = after(body, "cancelled", held.rpartition("/")[0])
        yield from carry_out(me, [Item(held, FAILED, body, new)], naive)
    yield ("note", "rmdir")
    yield ("unlock", owner)
    yield ("note", "journal")
    return ""


def retry(me: str, name: str, naive: Naive) -> Program:
    yield from operate(me, name, "retried", (DONE, FAILED), naive)


def cancel(me: str, name: str, tries: int, naive: Naive) -> Program:
    """While others move the job it is looked for again; the code tries a hundred times."""
    mark = f"{MARKS}/{name}"
    refused = yield from operate(me, name, "cancelled", (PENDING,), naive)
    if not refused.startswith(CLAIMED):
        return
    for _ in range(tries):
        inode = yield ("create", mark)
        if inode:
            yield ("write", inode, "stop", mark)
        if "sync folder" not in naive:
            yield ("sync folder", MARKS)
        found, ended = yield from look(name, naive)
        if found.startswith(CLAIMED) and not ended:
            if "look at the mark" in naive or (yield ("exists", mark)):
                yield ("asked", found)
                return
        elif found.startswith(PENDING):
            if not (yield from operate(me, name, "cancelled", (PENDING,), naive)):
                return
        elif found:
            if (yield from withdraw(me, name, naive)):
                return
        else:
            yield ("unlink", mark)
            if "sync folder" not in naive and "unmark durably" not in naive:
                yield ("sync folder", MARKS)
            return
    yield ("gave up",)


def withdraw(me: str, name: str, naive: Naive) -> Program:
    """The mark of a job that has ended is taken away with the job in one's own hands. Whether that was so."""
    if "withdraw in hand" in naive:
        yield ("unlink", f"{MARKS}/{name}")
        if "sync folder" not in naive and "unmark durably" not in naive:
            yield ("sync folder", MARKS)
        return True
    owner = f"op{me}"
    yield ("lock", owner)
    yield ("note", "mkdir")
    found = yield ("find", name)
    held = f"{CLAIMED}{owner}/{name}"
    taken = found.startswith((DONE, FAILED)) and (yield ("move", found, held)) == "ok"
    if taken:
        _, body = yield ("read", held)
        yield from unmark([Item(held, body.end, body)], naive)
        yield from place(held, found.rpartition("/")[0], name, naive)
    yield ("note", "rmdir")
    yield ("unlock", owner)
    return taken


def look(name: str, naive: Naive) -> Program:
    """Where a job lies, and whether its end stands in it there already; looked for again where it has moved on."""
    while True:
        found = yield ("find", name)
        seen = (yield ("read", found)) if found else None
        if not found:
            return "", False
        if seen is not None:
            folder, body = found.rpartition("/")[0], seen[1]
            mine = body.by == folder or folder.startswith(f"{CLAIMED}op")
            return found, bool(body.end) and mine and "look at the end" not in naive


def purge(me: str, name: str, naive: Naive) -> Program:
    owner = f"op{me}"
    yield ("lock", owner)
    yield ("note", "mkdir")
    found = yield ("find", name)
    held = f"{CLAIMED}{owner}/{name}"
    if found and found.startswith((DONE, FAILED)) and (yield ("move", found, held)) == "ok":
        _, body = yield ("read", held)
        yield from unmark([Item(held, body.end, body)], naive)
        if (yield from place(held, TRASH, name, naive)):
            if "sync folder" not in naive:
                for folder in (DONE, FAILED, TRASH):
                    yield ("sync folder", folder)
            yield ("told", "purged", body.job, body.version, body.version)
    yield ("note", "rmdir")
    yield ("unlock", owner)
    yield ("note", "journal")


def by_hand(me: str, source: str, target: str, naive: Naive) -> Program:
    yield ("move", source, target)


def reopen(me: str, owners: tuple[str, ...], naive: Naive) -> Program:
    """The queue is opened again when all else has ended: rescue, then a worker that runs what is there."""
    yield from rescue(me, owners, naive)
    yield from work(me, f"z{me}", ("done", "done", "done"), frozenset())


PROGRAMS = {program.__name__: program for program in (enqueue, work, rescue, retry, cancel, purge, by_hand, reopen)}
