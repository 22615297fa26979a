ANSWER = "found"
