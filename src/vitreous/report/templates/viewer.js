"use strict";
(() => {
  const page = document.documentElement;
  let errors = 0;
  page.dataset.errors = "0";
  window.addEventListener("error", () => { errors += 1; page.dataset.errors = String(errors); });
  window.addEventListener("securitypolicyviolation", () => { errors += 1; page.dataset.errors = String(errors); });

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  const viewers = [...document.querySelectorAll(".viewer")].map((root) => {
    const frame = root.querySelector(".frame");
    const divider = root.querySelector(".divider");
    const slider = root.querySelector(".slice");
    const output = root.querySelector("output");
    const layers = [...root.querySelectorAll(".layer")];
    const positions = root.dataset.positions.split(",").map(Number);
    const places = root.dataset.places.split("|");
    const [leftTag, rightTag] = root.querySelectorAll(".tag");
    let cut = 50;

    const setCut = (percent) => {
      cut = clamp(percent, 0, 100);
      frame.style.setProperty("--cut", `${cut}%`);
      leftTag.classList.toggle("off", cut < 12);
      rightTag.classList.toggle("off", cut > 88);
      divider.setAttribute("aria-valuenow", String(Math.round(cut)));
      const shown = `${Math.round(cut)} % ${leftTag.textContent}, ${Math.round(100 - cut)} % ${rightTag.textContent}`;
      divider.setAttribute("aria-valuetext", shown);
    };

    const setSlice = (index) => {
      const chosen = clamp(Math.round(index), 0, positions.length - 1);
      for (const layer of layers) {
        [...layer.children].forEach((image, i) => image.classList.toggle("on", i === chosen));
      }
      slider.value = String(chosen);
      slider.setAttribute("aria-valuetext", places[chosen]);
      output.textContent = places[chosen];
      root.dataset.position = String(positions[chosen]);
    };

    const setPosition = (voxel) => {
      const distances = positions.map((p) => Math.abs(p - voxel));
      setSlice(distances.indexOf(Math.min(...distances)));
    };

    const setPair = (left, right) => {
      for (const layer of layers) {
        layer.classList.toggle("left", layer.dataset.layer === left);
        layer.classList.toggle("right", layer.dataset.layer === right);
        if (layer.dataset.layer === left) leftTag.textContent = layer.dataset.title;
        if (layer.dataset.layer === right) rightTag.textContent = layer.dataset.title;
      }
      divider.setAttribute("aria-label", `Divider between ${left} and ${right}`);
      setCut(cut);
    };

    const follow = (event) => {
      const box = frame.getBoundingClientRect();
      setCut((100 * (event.clientX - box.left)) / box.width);
    };
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.setPointerCapture(event.pointerId);
      follow(event);
    });
    frame.addEventListener("pointermove", (event) => {
      if (frame.hasPointerCapture(event.pointerId)) follow(event);
    });
    divider.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      setCut(cut + steps[event.key]);
    });
    slider.addEventListener("input", () => setSlice(Number(slider.value)));

    setSlice(Number(slider.value));
    setCut(50);
    return { axis: root.dataset.axis, setCut, setPosition, setPair };
  });

  const choosePair = (value) => {
    const [left, right] = value.split(",");
    viewers.forEach((viewer) => viewer.setPair(left, right));
  };
  const radios = [...document.querySelectorAll("input[name=pair]")];
  radios.forEach((radio) => radio.addEventListener("change", () => choosePair(radio.value)));
  document.querySelectorAll("[data-cut]").forEach((button) => {
    button.addEventListener("click", () => viewers.forEach((viewer) => viewer.setCut(Number(button.dataset.cut))));
  });

  // report.html#z=31&x=40&cut=20&pair=after,reference opens at these places.
  const readAddress = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const viewer of viewers) {
      if (wanted.has(viewer.axis)) viewer.setPosition(Number(wanted.get(viewer.axis)) || 0);
      if (wanted.has("cut")) viewer.setCut(Number(wanted.get("cut")) || 0);
    }
    const radio = radios.find((candidate) => candidate.value === wanted.get("pair"));
    if (radio) {
      radio.checked = true;
      choosePair(radio.value);
    }
  };
  window.addEventListener("hashchange", readAddress);
  readAddress();
  choosePair((radios.find((radio) => radio.checked) || { value: "before,after" }).value);
  page.dataset.ready = "1";
})();
