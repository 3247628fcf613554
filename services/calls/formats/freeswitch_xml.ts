/**
 * FreeSWITCH's mod_xml_cdr (mod_xml_cdr.c, `my_on_reporting`; switch_ivr.c, `switch_ivr_generate_xml_cdr`), which
 * FusionPBX reads its calls from: an XML document for each leg of a call, in a file of its own (`a_<uuid>.cdr.xml`) or
 * posted. freeswitch_document.ts makes the record.
 *
 *   <?xml version="1.0"?>
 *   <cdr core-uuid="…" switchname="…">
 *     <channel_data> <direction>inbound</direction> … </channel_data>
 *     <call-stats> … </call-stats>
 *     <variables> <uuid>…</uuid> <sip_from_uri>1001%40pbx</sip_from_uri> … </variables>   each value URL-encoded, always
 *     <app_log> … </app_log>
 *     <callflow dialplan="XML" profile_index="1"> <caller_profile> … </caller_profile> <times> … </times> </callflow> …
 *   </cdr>
 *
 * A variable with several values is written once for each. mod_json_cdr writes them as one, `ARRAY::one|:two`.
 *
 * FreeSWITCH writes neither document types nor comments nor CDATA. But it does not escape a value from `<!` on
 * (switch_xml.c, `switch_xml_ampencode`): a caller could put elements of his own into the document by his name. So a
 * document with `<!` in it is refused, and so is a document with two values for a single field. Only XML's own five
 * entities are known.
 */
import { SaxesParser } from 'saxes';
import type { Parsed } from '../cdr.ts';
import { createDocumentSource } from './document_source.ts';
import { IN_RECORD, recordOfDocument, type Texts } from './freeswitch_document.ts';
import { bytesToText, percentDecode } from './freeswitch_post.ts';
import { decodePostedXml } from './freeswitch_xml_post.ts';
import { MAX_DEPTH, MAX_DOCUMENT_BYTES } from './json_documents.ts';
import type { SourceOptions, SourceReader } from './source_reader.ts';
import { createXmlDocumentReader } from './xml_documents.ts';

/** FreeSWITCH writes some hundreds. */
const MAX_ELEMENTS = 20_000;

/** Reads files of one document or many. The documents need no time zone and no date order. */
export function createXmlReader(options: SourceOptions): SourceReader {
  return createDocumentSource(createXmlDocumentReader, {
    document: (bytes) => parseXmlCdr(bytesToText(bytes), options),
    encoded: (bytes) => parseXmlCdr(decodePostedXml(bytes.toString('latin1')) ?? '', options),
  });
}

/** One document. @throws Error whose message says why it can't be read, without a quote from it */
export function parseXmlCdr(text: string, options: SourceOptions): Parsed {
  if (text.length > MAX_DOCUMENT_BYTES) {
    throw new Error(
      `the document is larger than ${MAX_DOCUMENT_BYTES} bytes: no call's document is that large`,
    );
  }
  if (text.includes('<!') || text.includes('<?', 1)) {
    throw new Error(
      'the document has a document type, a comment, CDATA or an instruction (<! or <?), which FreeSWITCH never writes',
    );
  }
  const { top, channelData, variables, flows } = readElements(text);
  return recordOfDocument(
    {
      top,
      channelDirection: channelData.direction ?? '',
      variables,
      written: (name) => percentDecode(variables[name] ?? ''),
      flows,
    },
    options,
  );
}

type Writable = Record<string, string>;

interface Elements {
  readonly top: Texts;
  readonly channelData: Texts;
  readonly variables: Texts;
  readonly flows: readonly { readonly profile: Texts; readonly times: Texts }[];
}

const newTexts = (): Writable => Object.create(null);

/** The texts of the elements that make a record. All others are skipped. */
function readElements(text: string): Elements {
  const top = newTexts();
  const channelData = newTexts();
  const variables = newTexts();
  const repeated: Repeated = new Map();
  const flows: { profile: Writable; times: Writable }[] = [];
  const path: string[] = [];
  let elements = 0;
  let value = '';
  /** Whether the element that closes next has none in it. */
  let isLeaf = false;

  const parser = new SaxesParser();
  parser.on('error', () => {
    throw new Error(`the document is no XML: it breaks at line ${parser.line} column ${parser.column}`);
  });
  parser.on('opentag', ({ name, attributes }) => {
    if (++elements > MAX_ELEMENTS) throw new Error(`the document has more than ${MAX_ELEMENTS} elements`);
    if (path.length >= MAX_DEPTH) throw new Error(`the document nests deeper than ${MAX_DEPTH} elements`);
    if (path.length === 0) {
      if (name !== 'cdr') throw new Error('the document is not from mod_xml_cdr: its root is not <cdr>');
      for (const [attribute, written] of Object.entries(attributes)) top[attribute] = written;
    }
    if (path.length === 1 && name === 'callflow') flows.push({ profile: newTexts(), times: newTexts() });
    path.push(name);
    value = '';
    isLeaf = true;
  });
  parser.on('text', (piece) => {
    value += piece;
  });
  parser.on('closetag', ({ name }) => {
    path.pop();
    if (isLeaf) keep(name);
    isLeaf = false;
    value = '';
  });

  function keep(name: string): void {
    const [, section, part] = path;
    if (path.length === 2 && section === 'variables') addVariable(variables, repeated, name, value);
    else if (path.length === 2 && section === 'channel_data') setOnce(channelData, name, value);
    else if (path.length === 3 && section === 'callflow' && part === 'caller_profile')
      setOnce(flows.at(-1)!.profile, name, value);
    else if (path.length === 3 && section === 'callflow' && part === 'times')
      setOnce(flows.at(-1)!.times, name, value);
  }

  parser.write(withSoundNames(text)).close();
  for (const [name, values] of repeated) variables[name] = `ARRAY::${values.join('|:')}`;
  if (Object.keys(variables).length === 0)
    throw new Error('the document is not from mod_xml_cdr: it has no <variables>');
  return { top, channelData, variables, flows };
}

/**
 * A dialplan may give a variable a name that no element can have (`my var`, `1st`). FreeSWITCH writes the name as it is.
 * No record uses such a variable, so it is renamed. (No variable's value has a bracket: the values are URL-encoded.)
 */
function withSoundNames(text: string): string {
  const from = text.indexOf('<variables>') + '<variables>'.length;
  const to = text.lastIndexOf('</variables>');
  if (to < from) return text;
  const variables = text.slice(from, to);
  if (!UNSOUND_NAME.test(variables)) return text;
  const renamed = variables.replace(/<(\/?)([^<>]*)>/g, (tag, slash, name) =>
    SOUND_NAME.test(name) ? tag : `<${slash}_>`,
  );
  return text.slice(0, from) + renamed + text.slice(to);
}

const SOUND_NAME = /^[A-Za-z_][\w.-]*\/?$/;
const UNSOUND_NAME = /<(?!\/?[A-Za-z_][\w.-]*\/?>)/;

function setOnce(texts: Writable, name: string, value: string): void {
  if (texts[name] !== undefined)
    throw new Error(`the document has two elements <${name}>, and must have one`);
  texts[name] = value;
}

/** The variables that come more than once, with all their values. */
type Repeated = Map<string, string[]>;

function addVariable(variables: Writable, repeated: Repeated, name: string, value: string): void {
  const values = repeated.get(name);
  if (values !== undefined) values.push(value);
  else if (variables[name] === undefined || IN_RECORD.has(name)) setOnce(variables, name, value);
  else repeated.set(name, [variables[name], value]);
}
