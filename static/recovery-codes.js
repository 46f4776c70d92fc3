// What a page of recovery codes can do with scripts; the download works without.

const codes = [...document.querySelectorAll(".codes li")].map((item) => item.textContent).join("\n");

function offer(name, action) {
  const button = document.querySelector(`[data-${name}]`);
  button.hidden = false;
  button.addEventListener("click", action);
}

offer("print", () => print());
if (navigator.clipboard) {
  offer("copy", async () => {
    await navigator.clipboard.writeText(codes);
    document.querySelector("[data-copied]").hidden = false;
  });
}
