"""`a2 data check` and `a2 data get`: what a data set holds and what is wrong with it; downloads."""
