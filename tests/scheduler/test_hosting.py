"""Words about machines over real links: from watchers and clients; and who may not join."""

from __future__ import annotations

import io

from lightwork.kit.owner_log import OwnerLog
from lightwork.scheduler.core.nodes import HERE
from lightwork.scheduler.service.program_nodes import ListedNodes
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hello
from tests.scheduler.test_watchers import NODE, House, story
from tests.transport.links import SCHEDULER, Recorder, listening, until

BOB = Hello(PROTOCOL, "watcher", "watcher", host="ada", user="bob")


def test_a_watcher_drains_a_node_and_lists_machines() -> None:
    async def work(house: House) -> None:
        client, node = await house.furnish()
        watcher = await house.join(BOB)
        answer = await watcher.ask(lambda number: say.ChangeHosts(number, "drain", ["a"]))
        assert (answer.error, answer.nodes, answer.total) == ("", ["a"], 2)
        await until(lambda: any(isinstance(message, say.Revoke) for message in node.messages))
        await until(lambda: any("drained by bob@ada" in getattr(one, "text", "") for one in client.messages))
        told = await watcher.ask(say.AskHosts)
        assert [(host.name, host.state, host.by) for host in told.hosts] == [("a", "draining by bob@ada", "bob@ada")]
        why = await watcher.ask(lambda number: say.AskWhy(number, "s", 3))
        assert "node a is drained by bob@ada" in " ".join(why.lines)
        assert "no session 'x'" in (await watcher.ask(lambda number: say.AskWhy(number, "x", 3))).error
        answer = await watcher.ask(lambda number: say.ChangeHosts(number, "resume", ["nobody"]))
        assert "no host 'nobody'" in answer.error
        assert "lightwork hosts list" in answer.hint

    story(work)


def test_a_client_does_the_same() -> None:
    async def work(house: House) -> None:
        client, _ = await house.furnish()
        client.links[0].send(say.ChangeHosts(7, "group", ["a"], "gpu"))
        assert (await client.answer(7)).nodes == ["a"]
        client.links[0].send(say.AskHosts(8))
        told = await client.answer(8)
        assert [(host.name, host.groups) for host in told.hosts] == [("a", ("gpu",))]
        client.links[0].send(say.AskWhy(9, "s", 0))
        assert (await client.answer(9)).lines

    story(work)


def test_a_policy_goes_to_the_node() -> None:
    async def work(house: House) -> None:
        _, node = await house.furnish()
        watcher = await house.join(BOB)
        policy = say.SetPolicy(480, 1080, 1090, 3, slots=1)
        answer = await watcher.ask(lambda number: say.ChangeHosts(number, "policy", ["a"], policy=policy))
        assert answer.nodes == ["a"]
        await until(lambda: any(isinstance(message, say.SetPolicy) for message in node.messages))
        [told] = [message for message in node.messages if isinstance(message, say.SetPolicy)]
        assert told == say.SetPolicy(480, 1080, 1090, 3, told.word)
        assert told.word, "by it a node knows that it was told before"
        assert say.SetSlots(1) in node.messages
        [shown] = (await watcher.ask(say.AskHosts)).hosts
        hours = {"service_start": "08:00", "service_stop": "18:00", "service_end": "18:10"}
        assert shown.policy == {**hours, "serve": 3, "slots": 1}

    story(work)


def test_who_was_removed_may_not_join_unless_it_has_jobs_of_ours() -> None:
    async def work(house: House) -> None:
        await house.furnish()
        hosting = house.scheduler.hosting
        assert hosting.change(say.ChangeHosts(0, "remove", ["a", "b*"], by="hosts.txt")).total == 2
        assert hosting.may_work(Hello(PROTOCOL, "node", "a")) is None, "its jobs are to end"
        refused = hosting.may_work(Hello(PROTOCOL, "node", "b7"))
        assert refused is not None
        assert refused.message == "b7 was removed by hosts.txt"
        assert "`lightwork hosts add b7`" in refused.hint
        assert hosting.may_work(Hello(PROTOCOL, "node", "c")) is None
        assert hosting.removed_by("tcp:b7:9701") == "hosts.txt"
        assert hosting.change(say.ChangeHosts(0, "add", ["b*"], by="hosts.txt")).error == ""
        assert hosting.may_work(Hello(PROTOCOL, "node", "b7")) is None
        assert hosting.listed() == [], "what joins by itself is not looked for"

    story(work)


def test_what_was_said_of_a_machine_is_not_held_against_another_one_of_its_name() -> None:
    async def work(house: House) -> None:
        hosting = house.scheduler.hosting

        async def comes(identity: str, name: str) -> str:
            """To the door, and in if it may; why it may not."""
            hello = Hello(PROTOCOL, "node", name, identity)
            refused = hosting.may_work(hello)
            if refused is not None:
                return refused.message
            node = await house.join(hello)
            ready = say.NodeReady(name, "", 2, say.Hardware(), identity=identity, claim="c", groups=["old"])
            node.links[0].send(ready)
            await until(lambda: name in house.scheduler._core.state.nodes or node.lost)
            return ""

        assert await comes("i", "a") == ""
        assert hosting.change(say.ChangeHosts(0, "remove", ["@old"], by="bob")).error == ""
        assert await comes("i", "a") == "a was removed by bob"
        assert await comes("j", "b") == "", "nobody knew that it is an old one; it is turned away"
        assert await comes("j", "b") == "b was removed by bob"
        for name in ("a", "b"):
            assert hosting.may_work(Hello(PROTOCOL, "node", name, "another")) is None

    story(work)


def test_a_listed_node_that_was_removed_is_dialled_while_it_has_jobs_of_ours_and_no_other_is_taken() -> None:
    async def work(house: House) -> None:
        _, node = await house.furnish()
        state, hosting = house.scheduler._core.state, house.scheduler.hosting
        hosting.change(say.ChangeHosts(0, "remove", ["a", "b*"], by="hosts.txt"))
        assert hosting.removed_by("tcp:a:9701") == "hosts.txt", "it is there"
        node.links[0].abort()
        await until(lambda: state.nodes["a"].standing not in HERE)
        assert hosting.removed_by("tcp:a:9701") == ""
        state.nodes["a"].address = "a"
        assert hosting.removed_by("tcp:b7:9701") == "hosts.txt", "that is not where it was"
        assert hosting.removed_by("tcp:a:9701") == ""
        scheduler, log = Recorder(), io.StringIO()
        ours, stranger = listening("unix", Recorder(), hello=NODE), Hello(PROTOCOL, "node", "b7")
        async with ours as first, listening("unix", Recorder(), hello=stranger) as second:
            listed = ListedNodes([first, second], scheduler, SCHEDULER, None, OwnerLog(log), hosting)
            listed.start()
            try:
                await until(lambda: scheduler.links and "b7 was removed by hosts.txt" in log.getvalue())
            finally:
                await listed.stop()
                for link in scheduler.links:
                    link.abort()
        assert [link.peer.name for link in scheduler.links] == ["a"]

    story(work)


def test_a_node_that_uses_other_slots_than_it_offers_is_told_what_we_believe() -> None:
    async def work(house: House) -> None:
        node = await house.join(NODE)
        ready = say.NodeReady("a", "", 2, say.Hardware(), pid=1, shares_memory=True, resized=True)
        node.links[0].send(ready)
        await until(lambda: say.SetSlots(2) in node.messages)

    story(work)
