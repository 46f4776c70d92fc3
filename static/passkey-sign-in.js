// <passkey-sign-in>: signing in by autofill, which waits from the start, and by the button, which interrupts it.

import { Ceremony } from "./ceremony.js";

class PasskeySignIn extends Ceremony {
  failures = { NotAllowedError: "cancelled" };

  modal = (publicKey, signal) => navigator.credentials.get({ publicKey, signal });

  autofill = (publicKey, signal) => navigator.credentials.get({ publicKey, signal, mediation: "conditional" });

  connectedCallback() {
    this.field = document.querySelector("input[autocomplete~=webauthn]");
    super.connectedCallback();
  }

  /** Arm autofill: the browser offers passkeys in the email field until one is picked. */
  async wait() {
    const available = await PublicKeyCredential.isConditionalMediationAvailable?.();
    if (!available || this.busy || this.done) return;
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
