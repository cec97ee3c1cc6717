# git-annex with its defaults; a restore is a clone that gets everything. GIT_ANNEX_BIN: a folder to put on the path.
T_ONLY="big csv"
export GIT_AUTHOR_NAME=b GIT_AUTHOR_EMAIL=b@b GIT_COMMITTER_NAME=b GIT_COMMITTER_EMAIL=b@b
[ -n "${GIT_ANNEX_BIN:-}" ] && PATH=$GIT_ANNEX_BIN:$PATH
t_version() { git annex version | sed -n 1p; }
t_init() { git config --global user.name b; git config --global user.email b@b; git init -q . && git annex init -q bench; }
t_add() { echo "git annex add -q . && git commit -q --allow-empty -m $1"; }
t_restore() { echo "git clone -q $WS $DEST && cd $DEST && git annex init -q && git annex get -q ."; }
t_restored() { echo "$DEST/data"; }
t_store() { echo "$WS/.git"; }
