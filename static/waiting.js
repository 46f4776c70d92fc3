// For pages whose form is sent once, or not before a while. Without this script both work, with less comfort.

for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button");
  // A double click would send the form twice, and the second answer would say that the link was used.
  form.addEventListener("submit", () => (button.disabled = true));
  addEventListener("pageshow", () => (button.disabled = false));
}

for (const form of document.querySelectorAll("form[data-wait]")) {
  const button = form.querySelector("button");
  const words = form.querySelector("[data-countdown]");
  const until = Date.now() + form.dataset.wait * 1000;
  const tick = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    button.disabled = seconds > 0;
    words.parentElement.hidden = seconds <= 0;
    words.textContent = seconds;
    if (seconds > 0) setTimeout(tick, 1000);
  };
  tick();
}
