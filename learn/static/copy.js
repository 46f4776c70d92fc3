// A "Copy" button on each block of code. Lines that a block takes away are not copied.

function offer(place, lines) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(lines);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  place.append(button);
}

if (navigator.clipboard) {
  for (const block of document.querySelectorAll("figure.change")) {
    const wanted = block.matches(".whole") ? "code > :is(span, ins):not(.gap)" : "code > ins";
    const lines = [...block.querySelectorAll(wanted)].map((line) => `${line.textContent}\n`);
    if (lines.length) offer(block.querySelector("figcaption"), lines.join(""));
  }
  for (const block of document.querySelectorAll(".command")) offer(block, block.textContent);
  for (const text of document.querySelectorAll(".raw pre")) offer(text.parentElement, text.textContent);
}
