export function Brand() {
  return (
    <h1 class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M7 21l6-7 5 4 7-9" />
      </svg>
      Analytics
    </h1>
  );
}
