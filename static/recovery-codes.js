// Buttons that copy and print recovery codes. The download works without this script.

const codes = [...document.querySelectorAll(".codes li")].map((item) => item.textContent).join("\n");

function showButton(name, onClick) {
  const button = document.querySelector(`[data-${name}]`);
  button.hidden = false;
  button.addEventListener("click", onClick);
}

showButton("print", () => print());
if (navigator.clipboard) {
  showButton("copy", async () => {
    await navigator.clipboard.writeText(codes);
    document.querySelector("[data-copied]").hidden = false;
  });
}
