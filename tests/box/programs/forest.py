"""scikit-learn with several processes: cross-validation and a fit."""

import json
import pickle

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

table = np.loadtxt("data/digits.csv", delimiter=",")
x, y = table[:, :-1], table[:, -1].astype(int)
forest = RandomForestClassifier(n_estimators=30, random_state=0, n_jobs=2)
scores = cross_val_score(forest, x, y, cv=3, n_jobs=2)
forest.fit(x, y)
np.save("singular.npy", np.linalg.svd(x)[1])
with open("forest.pkl", "wb") as out:
    pickle.dump(forest, out)
with open("metrics.json", "w") as out:
    json.dump({"accuracy": float(scores.mean())}, out)
