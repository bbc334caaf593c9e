// @google/genai: whole answers, streams, counts and models.
import { GoogleGenAI } from "@google/genai";

const [url, models] = [process.argv[2], JSON.parse(process.argv[3])];
const client = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: url } });
const told = {};
told.text = (await client.models.generateContent({ model: models.text, contents: "Hello there" })).text;
told.stream = "";
for await (const chunk of await client.models.generateContentStream({ model: models.text, contents: "Hello there" })) {
  told.stream += chunk.text ?? "";
}
const parametersJsonSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ functionDeclarations: [{ name: "weather", parametersJsonSchema }] }];
const called = await client.models.generateContent({ model: models.tool, contents: "Hello", config: { tools } });
told.called = called.functionCalls[0].name;
told.tokens = (await client.models.countTokens({ model: models.text, contents: "Hello there" })).totalTokens;
try {
  for await (const chunk of await client.models.generateContentStream({ model: models.cut, contents: "Hello" })) void chunk;
  told.cut = "nothing";
} catch (error) {
  told.cut = error.name;
}
console.log(JSON.stringify(told));
