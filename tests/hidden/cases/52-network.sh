# Data is fetched, and the revision there has moved.
row=52 variable="network fetch" layer="chance found" named="127.0.0.1" class="reached"
needs_server=yes
prepare() {
    cat > fetch.py <<'P'
import os, urllib.request
port = open("port").read().strip()
open("data.csv", "wb").write(urllib.request.urlopen(f"http://127.0.0.1:{port}/data.csv").read())
P
}
command="python3 fetch.py"
twin_command="sh -c 'echo 1,2 > data.csv'"
a() { echo 1,2 > served/data.csv; }
b() { echo 1,3 > served/data.csv; }
