"""Databases as earlier versions left them, and tests that this version upgrades and reads them.

`make.py` dumps a database of the present version, once per release, into a folder with its name. It has what `story.py`
does. `reading.py` is what each later version must be able to do with it.
"""
