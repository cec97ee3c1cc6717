"""A policy judged on CartPole, one environment per seed."""

import json

import gymnasium

returns = []
for seed in range(5):
    world = gymnasium.make("CartPole-v1")
    state, _ = world.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        state, reward, ended, cut, _ = world.step(int(state[2] > 0))
        total += reward
        over = ended or cut
    returns.append(total)
with open("metrics.json", "w") as out:
    json.dump({"return": sum(returns) / len(returns)}, out)
