"""Getting the open datasets from their official sources; the command is ``data_scripts/download.py``.

``table`` says where they are and under which terms, ``fetching`` brings a file whole over a bad connection,
``unpacking`` unpacks it file by file, ``remote_archives`` reads the first films of an archive that is not here.
"""
