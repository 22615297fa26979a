"""The agent's state machine, split by table. Law: no clock, socket, loop, process or log; a table changes only itself.

events --> core.Core --+--> computations  what is ready to run, and in which environment
                       +--> held          attempts that wait here, in order
                       +--> workers       who has which attempts in flight
                       +--> dispatch      held x workers -> Run, TakeBack
commands <-------------+--> watch         what runs long: started, timeouts, memory, interrupts
                       +--> endings       how attempts end that cannot say so themselves
"""
