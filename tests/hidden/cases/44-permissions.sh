# Hooks that may not be executed are skipped without a word.
row=44 variable="permissions" layer="code permissions" named="hook"
prepare() { printf '#!/bin/sh\necho cleaned\n' > hook; }
command="sh -c 'if [ -x hook ]; then ./hook; else echo raw; fi > data.txt'"
a() { chmod 755 hook; }
b() { chmod 644 hook; }
