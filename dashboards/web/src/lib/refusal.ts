// Why something failed, in the reader's language, with the gateway's own sentence.
import { Refused } from './gateway';
import { speech } from './words.svelte';

export function why(error: unknown): string {
  const { t } = speech;
  if (!(error instanceof Refused)) return `${unreached(error)} ${t.unsure}`;
  const known = t.problem[error.kind], fields = error.fields.map(({ field, detail }) => `${field}: ${detail}`).join('; ');
  const said = fields ? `${error.message} ${fields}` : error.message;
  return known ? `${known} (${said})` : said;
}

/** For reading: nothing can have taken effect. */
export const whyNotRead = (error: unknown): string => (error instanceof Refused ? why(error) : unreached(error));

function unreached(error: unknown): string {
  return error instanceof Error && error.name === 'TimeoutError' ? speech.t.silentGateway : speech.t.notReached;
}
