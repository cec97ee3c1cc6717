# rustic with its defaults (encryption cannot be turned off). RUSTIC names the command.
export RUSTIC_PASSWORD=bench RUSTIC_NO_PROGRESS=true
U=${RUSTIC:-rustic}
t_version() { $U --version; }
t_init() { $U -r "$REPO" --cache-dir "$STATE/c" init; }
t_add() { echo "cd $DATA && $U -r $REPO --cache-dir $STATE/c backup --tag $1 ."; }
t_restore() { echo "$U -r $REPO --cache-dir $STATE/c restore latest $DEST"; }
