"""Makes the checkpoints and archives beside it: PyTorch 2, NumPy 2. Each pair differs in one place."""

import numpy as np
import torch
from torch import nn

for name in "abc":
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    state = model.state_dict()
    state["0.turned"] = torch.arange(6, dtype=torch.float64).reshape(2, 3).t()
    if name == "b":
        optimizer.state_dict()["state"][0]["exp_avg"][1, 2] = 7.0
    torch.save({"model": state, "optimizer": optimizer.state_dict(), "epoch": 5 + (name == "c")}, f"{name}.pt")

for name, save in [("stored", np.savez), ("packed", np.savez_compressed)]:
    for side in "ab":
        weights = np.arange(12, dtype=np.float32).reshape(3, 4)
        if side == "b":
            weights[2, 1] = 10.0
        save(f"{name}-{side}.npz", bias=np.zeros(2), weights=weights)
