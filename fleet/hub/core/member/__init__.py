"""A member, whatever it is to receive: is it there, how old is its news, who keeps its engine.

It knows of no Application and of no run; these ask it whom they may count on.
"""
