import { Problem } from "../problems.ts";

/** A constant tensor of an ONNX graph. */
export interface OnnxInitializer {
  dims: number[];
  /** TensorProto.DataType: 1 is float32, 3 is int8. */
  dataType: number;
  /** Values in little-endian order; a view of the file's bytes, empty where the file keeps them in another field. */
  raw: Uint8Array;
}

interface Field {
  number: number;
  /** A varint, or the content of a length-delimited field; undefined for fixed-width fields, of which we need none. */
  value: number | Uint8Array | undefined;
}

/** Field numbers of onnx.proto: ModelProto.graph, GraphProto.initializer, and those of TensorProto. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR = { dims: 1, dataType: 2, name: 8, raw: 9 } as const;

/**
 * The constants of an ONNX model by name, read without onnxruntime. Copies nothing: the views live as long as `model`.
 * Method: the protobuf wire format, https://protobuf.dev/programming-guides/encoding/.
 * @throws Problem model_damaged if the bytes are not a whole protobuf message
 */
export function readInitializers(model: Uint8Array): Map<string, OnnxInitializer> {
  const initializers = new Map<string, OnnxInitializer>();
  for (const graph of messages(model, MODEL_GRAPH)) {
    for (const tensor of messages(graph, GRAPH_INITIALIZER)) {
      const { name, ...initializer } = readTensor(tensor);
      initializers.set(name, initializer);
    }
  }
  return initializers;
}

function readTensor(tensor: Uint8Array): OnnxInitializer & { name: string } {
  const read = { name: "", dims: [] as number[], dataType: 0, raw: new Uint8Array() as Uint8Array };
  for (const { number, value } of fields(tensor)) {
    if (typeof value === "number") {
      if (number === TENSOR.dims) read.dims.push(value);
      if (number === TENSOR.dataType) read.dataType = value;
    } else if (value !== undefined) {
      if (number === TENSOR.dims) read.dims.push(...packedVarints(value));
      if (number === TENSOR.name) read.name = new TextDecoder().decode(value);
      if (number === TENSOR.raw) read.raw = value;
    }
  }
  return read;
}

function* messages(bytes: Uint8Array, number: number): Generator<Uint8Array, void> {
  for (const field of fields(bytes)) {
    if (field.number === number && field.value instanceof Uint8Array) yield field.value;
  }
}

function* fields(bytes: Uint8Array): Generator<Field, void> {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at);
    const number = Math.floor(tag.value / 8);
    at = tag.end;
    switch (tag.value % 8) {
      case 0: {
        const { value, end } = varint(bytes, at);
        yield { number, value };
        at = end;
        break;
      }
      case 1:
        at = within(bytes, at + 8);
        yield { number, value: undefined };
        break;
      case 2: {
        const length = varint(bytes, at);
        at = within(bytes, length.end + length.value);
        yield { number, value: bytes.subarray(length.end, at) };
        break;
      }
      case 5:
        at = within(bytes, at + 4);
        yield { number, value: undefined };
        break;
      default:
        throw new Problem("model_damaged", "The ONNX file holds a field of no known kind.");
    }
  }
}

function packedVarints(bytes: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const { value, end } = varint(bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}

/** An unsigned varint. One past 2^53 loses its low bits, which no length or dimension that passes its check can have. */
function varint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; index < 10; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) break;
    value += (byte % 128) * 2 ** (7 * index);
    if (byte < 128) return { value, end: start + index + 1 };
  }
  throw new Problem("model_damaged", "The ONNX file holds a number that does not end.");
}

function within(bytes: Uint8Array, end: number): number {
  if (end > bytes.length) {
    throw new Problem("model_damaged", "The ONNX file ends inside a field.");
  }
  return end;
}
