# git: only where files are small; it is not made for the others.
T_ONLY="many tree"
export GIT_AUTHOR_NAME=b GIT_AUTHOR_EMAIL=b@b GIT_COMMITTER_NAME=b GIT_COMMITTER_EMAIL=b@b
t_version() { git --version; }
t_init() { git init -q . && git config gc.auto 0; }
t_add() { echo "git add -A && git commit -q --allow-empty -m $1"; }
t_pre_restore() { away "$DATA"; }
t_restore() { echo "git checkout -q -f HEAD -- ."; }
t_restored() { echo "$DATA"; }
t_store() { echo "$WS/.git"; }
