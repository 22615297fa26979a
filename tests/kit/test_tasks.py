import asyncio
import gc

from lightwork.kit import tasks


def test_a_task_that_nobody_holds_lives_on():
    async def main():
        done = asyncio.Event()

        async def work():
            await asyncio.sleep(0.01)
            done.set()

        tasks.spawn(work(), "work")
        gc.collect()
        await asyncio.wait_for(done.wait(), 5)

    asyncio.run(main())


async def fail():
    raise ValueError("lost?")


def test_an_exception_reaches_the_handler_at_once():
    async def main():
        heard = []
        task = tasks.spawn(fail(), "worker 7", lambda error, name: heard.append((str(error), name)))
        while not task.done():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return heard

    assert asyncio.run(main()) == [("lost?", "worker 7")]


def test_without_a_handler_the_loop_hears_of_it():
    async def main():
        heard = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
        tasks.spawn(fail(), "worker 7")
        await asyncio.sleep(0.01)
        return heard

    assert asyncio.run(main()) == ["task 'worker 7' failed"]


def test_stop_waits_until_they_have_ended():
    async def main():
        heard = []
        ended = []

        async def work():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                ended.append(True)

        running = [tasks.spawn(work(), str(number), lambda *news: heard.append(news)) for number in range(3)]
        await asyncio.sleep(0)
        await tasks.stop(*running)
        return ended, heard

    assert asyncio.run(main()) == ([True] * 3, [])
