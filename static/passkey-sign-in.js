// <passkey-sign-in>: signing in by autofill, which waits from the start, and by the button, which interrupts it; and
// proving once more who it is, where there is no field and only the button.

import { Ceremony } from "./ceremony.js";

class PasskeySignIn extends Ceremony {
  failures = { NotAllowedError: "cancelled" };

  modal = (publicKey, signal) => navigator.credentials.get({ publicKey, signal });

  autofill = (publicKey, signal) => navigator.credentials.get({ publicKey, signal, mediation: "conditional" });

  // Only what is on this device, and at once: without it, the dialog would begin with a code to scan.
  immediate = (publicKey, signal) => navigator.credentials.get({ publicKey, signal, uiMode: "immediate" });

  connectedCallback() {
    this.field = document.querySelector("input[autocomplete~=webauthn]");
    // What the visitor did last in the field had the browser offer the passkeys: from there on it is their time.
    for (const sign of ["pointerdown", "keydown"]) {
      this.field?.addEventListener(sign, () => (this.began = performance.now()));
    }
    this.elsewhere = this.querySelector("[data-elsewhere]");
    this.elsewhere?.addEventListener("click", () => this.run(this.modal));
    // Asked for now: the click must not have to wait.
    this.capabilities = this.elsewhere && window.PublicKeyCredential?.getClientCapabilities?.();
    super.connectedCallback();
  }

  async run(call) {
    this.began = performance.now();
    // Where an address is typed, the passkey must be that account's.
    if (this.field) this.tell(this.field.value, "button");
    super.run(call ?? ((await this.capabilities)?.immediateGet ? this.immediate : this.modal));
  }

  tell(email, by) {
    Object.assign(this.form.elements.email, { value: email });
    Object.assign(this.form.elements.by, { value: by });
  }

  explain(error, call) {
    this.began = null;
    if (call !== this.immediate || error.name !== "NotAllowedError") return super.explain(error);
    // Nothing on this device, or the visitor cancelled: the browser doesn't tell.
    this.reveal("nothing_here");
    this.elsewhere.hidden = false;
  }

  /** Arm autofill: the browser offers passkeys in the email field until one is picked. */
  async wait() {
    const available = this.field && (await PublicKeyCredential.isConditionalMediationAvailable?.());
    if (!available) return;
    document.querySelector("[data-autofill]").hidden = false;
    if (this.busy || this.done) return;
    this.tell("", "autofill");
    try {
      await this.perform(this.autofill);
    } catch (error) {
      // Whoever aborted it arms it again. Else the browser has said why; it is armed again when the visitor is back.
      if (error.name === "AbortError") return;
      for (const sign of ["focus", "click"]) this.field.addEventListener(sign, () => this.wait(), { once: true });
    }
  }
}

customElements.define("passkey-sign-in", PasskeySignIn);
