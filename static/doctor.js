// What this browser can do (WebAuthn L3 5.1.7), for the doctor's page.

const list = document.querySelector("[data-capabilities]");
const known = (await window.PublicKeyCredential?.getClientCapabilities?.()) ?? {};
const items = list.dataset.capabilities.split(" ").map((name) => {
  const item = document.createElement("li");
  item.textContent = `${name}: ${{ true: "yes", false: "no" }[known[name]] ?? "it doesn’t say"}`;
  return item;
});
list.replaceChildren(...items);
