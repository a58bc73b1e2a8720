"""Workers of any kind: their lives, who carries these out, and what is decided about several of them."""
