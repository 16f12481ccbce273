"""How long recordings are kept: marked when their time is over, shredded some days later."""
