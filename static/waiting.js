// For forms that are sent once (data-once), or after some seconds (data-wait). They also work without this script.

for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button");
  // A double click would send the form twice. The second response would say that the link was used already.
  form.addEventListener("submit", () => (button.disabled = true));
  // The Back button may restore the page with the disabled button.
  addEventListener("pageshow", () => (button.disabled = false));
}

for (const form of document.querySelectorAll("form[data-wait]")) {
  const button = form.querySelector("button");
  const countdown = form.querySelector("[data-countdown]");
  const enableAt = Date.now() + form.dataset.wait * 1000;
  const update = () => {
    const seconds = Math.ceil((enableAt - Date.now()) / 1000);
    button.disabled = seconds > 0;
    countdown.parentElement.hidden = seconds <= 0;
    countdown.textContent = seconds;
    if (seconds > 0) setTimeout(update, 1000);
  };
  update();
}
