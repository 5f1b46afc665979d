"""A machine that runs real kind clusters without a registry: Docker, the programs and the node image, made from Debian's
packages, Go modules and PyPI.

`python -m tests.kind.machine up` on a Debian machine with root, Go and apt. What is made is kept in the cache; `down` ends
the Docker daemon and puts the machine's settings back. A user needs none of it: kind pulls its own node image.
"""
