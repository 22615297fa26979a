"""Links between programs, whatever carries them: the one room that opens sockets. Law: it moves messages, never reads
what they mean; the rest of the house sees `Link`, `Receiver` and addresses only.
"""
