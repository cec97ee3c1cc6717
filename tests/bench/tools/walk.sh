# A bare walk with one stat per file: the yardstick for adding what has not changed.
T_STEPS=''
t_version() { find --version | sed -n 1p; }
t_add() { echo "find $DATA -printf '%s %T@ %C@ %i %p\n' >/dev/null"; }
