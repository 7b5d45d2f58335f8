"""Numbers -> matplotlib figures. Text in them is text: a `$` in a class name begins no formula."""

import matplotlib as mpl

mpl.rcParams["text.parse_math"] = False
