"use strict";
fetch("/v1/models").then((answer) => answer.json()).then((list) => {
  const [model] = list.data;
  const facts = { Model: model.id, Digest: model.meta.digest, Numerics: model.meta.numerics, Context: model.meta.n_ctx };
  const place = document.getElementById("model");
  for (const [name, value] of Object.entries(facts)) {
    place.appendChild(document.createElement("dt")).textContent = name;
    place.appendChild(document.createElement("dd")).textContent = value;
  }
});
