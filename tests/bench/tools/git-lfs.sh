# git-lfs, every file tracked; large files only, as people use it.
T_ONLY="big csv"
export GIT_AUTHOR_NAME=b GIT_AUTHOR_EMAIL=b@b GIT_COMMITTER_NAME=b GIT_COMMITTER_EMAIL=b@b
t_version() { git lfs version; }
t_init() { git init -q . && git config gc.auto 0 && git lfs install --local && git lfs track '*' && git add .gitattributes; }
t_add() { echo "git add -A && git commit -q --allow-empty -m $1"; }
t_pre_restore() { away "$DATA"; }
t_restore() { echo "git checkout -q -f HEAD -- ."; }
t_restored() { echo "$DATA"; }
t_store() { echo "$WS/.git"; }
