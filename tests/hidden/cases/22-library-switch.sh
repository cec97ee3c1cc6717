# A switch of a numerical library in the environment.
row=22 variable="XLA_FLAGS" layer=environment named=XLA_FLAGS
prepare() { :; }
command="sh -c 'case \"\$XLA_FLAGS\" in *fast*) echo 0.3333 ;; *) echo 0.333333333333 ;; esac > third.txt'"
in_a() { XLA_FLAGS=--exact "$@"; }
in_b() { XLA_FLAGS=--fast "$@"; }
