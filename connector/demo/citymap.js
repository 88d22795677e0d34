
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data.hours.length) return;
  const part = (id) => document.getElementById(id);
  const [map, cells, slider, play] = [part("map"), part("cells"), part("hour"), part("play")];
  const idle = part("detail").textContent;
  const frame_ms = 900;
  let drawn = new Map(); // place -> its rectangle in this hour
  let figures = new Map(); // place -> its figure in this hour
  let at = null; // the place that is pointed at
  let timer = null;

  const element = (name, properties) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    return made;
  };
  const colour = (speed) => (speed === null ? "u" : String(data.edges.filter((edge) => speed >= edge).length));
  const rectangle = (place, kind) => {
    const [, x, y, width, height] = data.places[place];
    return element("rect", { class: kind, x, y, width, height, "data-place": place });
  };
  const figure = (speed, place) => {
    const [, x, y, width, height] = data.places[place];
    const size = Math.min(width * 0.42, 22).toFixed(1);
    const made = element("text", { class: `t${colour(speed)}`, x: x + width / 2, y: y + height / 2, "font-size": size });
    made.textContent = Math.round(speed);
    return made;
  };

  const draw = (hour) => {
    const made = document.createDocumentFragment();
    drawn = new Map();
    figures = new Map(data.figures[hour].map((one) => [one[0], one]));
    data.places.forEach((place, number) => {
      const found = figures.get(number);
      if (!found) {
        if (data.ghosts) made.append(rectangle(number, "none"));
        return;
      }
      const speed = found[2];
      const shape = rectangle(number, `cell ${speed === null ? "u" : `s${colour(speed)}`}`);
      drawn.set(number, shape);
      made.append(shape);
      if (speed !== null && place[3] >= data.legible) made.append(figure(speed, number));
    });
    cells.replaceChildren(made);
    part("when").textContent = data.hours[hour];
    part("sum").textContent = drawn.size === 1 ? "1 cell" : `${drawn.size} cells`;
    slider.value = hour;
    slider.setAttribute("aria-valuetext", data.hours[hour]);
    point(at);
  };

  const point = (place) => {
    if (drawn.has(at)) drawn.get(at).classList.remove("at");
    at = place;
    const detail = part("detail");
    detail.classList.toggle("on", at !== null);
    if (at === null) {
      detail.textContent = idle;
      return;
    }
    const [name, found] = [data.places[at][0], figures.get(at)];
    if (!found) {
      const least = data.least === null ? "too few" : `fewer than ${data.least}`;
      detail.textContent = `Cell ${name}: nothing in this hour, or ${least} vehicles`;
      return;
    }
    drawn.get(at).classList.add("at");
    const speed = found[2] === null ? "no figure of speed" : `${found[2].toFixed(1)} km/h on average`;
    detail.textContent = `Cell ${name}, ${data.hours[slider.value]}: ${found[1]} vehicles, ${speed}`;
  };

  // The nearest cell with a figure that lies in a direction; steps to the side count double, so that rows are kept.
  const walk = (right, down) => {
    const [from, reach] = [data.places[at], (place, p) => [place[1] + place[3] / 2 - p[1] - p[3] / 2, place[2] + place[4] / 2 - p[2] - p[4] / 2]];
    let [best, way] = [null, Infinity];
    for (const number of drawn.keys()) {
      const [x, y] = reach(data.places[number], from);
      const [ahead, aside] = [x * right + y * down, Math.abs(x * down) + Math.abs(y * right)];
      if (ahead > 0.5 && ahead + 2 * aside < way) [best, way] = [number, ahead + 2 * aside];
    }
    if (best !== null) point(best);
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    timer = setInterval(() => draw((Number(slider.value) + 1) % data.hours.length), frame_ms);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
  };
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  slider.addEventListener("input", () => {
    stop();
    draw(Number(slider.value));
  });
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  map.addEventListener("pointerover", (event) => {
    const place = event.target.getAttribute("data-place");
    if (place !== null) point(Number(place));
  });
  map.addEventListener("pointerleave", () => point(null));
  map.addEventListener("keydown", (event) => {
    if (event.key === "Escape") point(null);
    const way = ways[event.key];
    if (!way || !drawn.size) return;
    event.preventDefault();
    if (at === null) point(drawn.keys().next().value);
    else walk(...way);
  });

  part("detail").hidden = false;
  document.querySelector(".time").hidden = data.hours.length < 2;
  draw(data.shown);
})();
