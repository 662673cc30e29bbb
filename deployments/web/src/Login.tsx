import { useState } from "react";

/** Login asks for a name. It is for development alone: the service takes it as it is. */
export function Login({ enter }: { readonly enter: (name: string) => void }) {
  const [name, setName] = useState("");
  return (
    <main className="narrow">
      <h1>Callplane</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          enter(name.trim());
        }}
      >
        <label>
          Your name
          <input autoFocus required maxLength={128} pattern="[!-~]+" title="letters and digits without spaces" autoComplete="username"
            value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <button type="submit">Go in</button>
      </form>
      <p className="hint">This is a development login: anybody may be anybody.</p>
    </main>
  );
}
