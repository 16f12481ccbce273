"""How long each kind of thing is kept: marked when its time is over, shredded some days later."""
