// The widget's fixed words. What the documents say stays in their own language.

const KEYS = [
  "title", "open", "close", "fresh", "ask", "send", "stop", "you", "thinking", "slow", "refused",
  "nearest", "source", "page", "inDocument", "newTab", "copy", "copied", "stopped",
  "down", "notAllowed", "busy", "failed", "retry",
  "good", "bad", "comment", "thanks", "why", "unsure",
] as const;

export type Words = Record<(typeof KEYS)[number], string>;

// One line a language, in the order of KEYS; {n} is a number.
const TABLE: Record<string, string> = {
  en: "Ask our documents|Open the chat|Close|New conversation|Ask a question|Send|Stop|You|Looking it up|Still reading, a moment|The documents do not say.|Nearest passages|Source {n}|page {n}|Open in document|Open in a new tab|Copy with sources|Copied|Stopped.|The server cannot be reached. Try again in a moment.|This page may not use this assistant.|Many are asking just now. Try again in {n} seconds.|No answer could be given.|Try again|Helpful|Not helpful|What was good, wrong or missing? (optional)|Thank you.|Why this answer|No sure answer.",
  de: "Fragen Sie unsere Dokumente|Chat öffnen|Schließen|Neues Gespräch|Frage stellen|Senden|Anhalten|Sie|Wird nachgeschlagen|Es wird noch gelesen|Das steht nicht in den Dokumenten.|Nächstliegende Stellen|Quelle {n}|Seite {n}|Im Dokument öffnen|In neuem Tab öffnen|Mit Quellen kopieren|Kopiert|Angehalten.|Der Server ist nicht erreichbar. Bitte gleich noch einmal versuchen.|Diese Seite darf diesen Assistenten nicht verwenden.|Gerade fragen viele. Bitte in {n} Sekunden wieder versuchen.|Es konnte keine Antwort gegeben werden.|Noch einmal|Hilfreich|Nicht hilfreich|Was war gut, falsch oder fehlte? (freiwillig)|Danke.|Warum diese Antwort|Keine sichere Antwort.",
  fr: "Interrogez nos documents|Ouvrir la discussion|Fermer|Nouvelle conversation|Poser une question|Envoyer|Arrêter|Vous|Recherche en cours|Lecture en cours, un instant|Les documents ne le disent pas.|Passages les plus proches|Source {n}|page {n}|Ouvrir dans le document|Ouvrir dans un nouvel onglet|Copier avec les sources|Copié|Arrêté.|Le serveur est injoignable. Réessayez dans un instant.|Cette page ne peut pas utiliser cet assistant.|Beaucoup de questions en ce moment. Réessayez dans {n} secondes.|Aucune réponse n’a pu être donnée.|Réessayer|Utile|Pas utile|Qu’est-ce qui était bien, faux ou manquant ? (facultatif)|Merci.|Pourquoi cette réponse|Pas de réponse sûre.",
  es: "Pregunte a nuestros documentos|Abrir el chat|Cerrar|Nueva conversación|Haga una pregunta|Enviar|Detener|Usted|Buscando|Aún leyendo, un momento|Los documentos no lo dicen.|Pasajes más cercanos|Fuente {n}|página {n}|Abrir en el documento|Abrir en otra pestaña|Copiar con fuentes|Copiado|Detenido.|No se puede acceder al servidor. Inténtelo en un momento.|Esta página no puede usar este asistente.|Hay muchas preguntas ahora. Inténtelo en {n} segundos.|No se pudo dar una respuesta.|Reintentar|Útil|No útil|¿Qué estuvo bien, mal o faltó? (opcional)|Gracias.|Por qué esta respuesta|No hay respuesta segura.",
  it: "Chieda ai nostri documenti|Apri la chat|Chiudi|Nuova conversazione|Faccia una domanda|Invia|Ferma|Lei|Ricerca in corso|Ancora in lettura, un attimo|I documenti non lo dicono.|Passaggi più vicini|Fonte {n}|pagina {n}|Apri nel documento|Apri in una nuova scheda|Copia con le fonti|Copiato|Fermato.|Il server non è raggiungibile. Riprovi tra un momento.|Questa pagina non può usare questo assistente.|Molte domande in questo momento. Riprovi tra {n} secondi.|Non è stato possibile rispondere.|Riprova|Utile|Non utile|Cosa andava bene, era sbagliato o mancava? (facoltativo)|Grazie.|Perché questa risposta|Nessuna risposta sicura.",
  pt: "Pergunte aos nossos documentos|Abrir o chat|Fechar|Nova conversa|Faça uma pergunta|Enviar|Parar|Você|Procurando|Ainda lendo, um momento|Os documentos não dizem.|Trechos mais próximos|Fonte {n}|página {n}|Abrir no documento|Abrir em nova aba|Copiar com fontes|Copiado|Parado.|O servidor não pode ser acessado. Tente novamente em instantes.|Esta página não pode usar este assistente.|Muitas perguntas agora. Tente novamente em {n} segundos.|Não foi possível responder.|Tentar de novo|Útil|Não útil|O que estava bom, errado ou faltou? (opcional)|Obrigado.|Por que esta resposta|Não há resposta segura.",
  zh: "向我们的文档提问|打开聊天|关闭|新对话|提出问题|发送|停止|您|正在查找|仍在阅读，请稍候|文档中没有提到。|最接近的段落|来源 {n}|第 {n} 页|在文档中打开|在新标签页中打开|连同来源复制|已复制|已停止。|无法连接服务器，请稍后再试。|此页面无权使用此助手。|当前提问较多，请在 {n} 秒后重试。|无法给出答案。|重试|有帮助|没有帮助|哪里好、哪里错或缺少什么？（可选）|谢谢。|为何这样回答|没有可靠的答案。",
  ar: "اسأل مستنداتنا|فتح المحادثة|إغلاق|محادثة جديدة|اطرح سؤالاً|إرسال|إيقاف|أنت|جارٍ البحث|ما زلنا نقرأ، لحظة من فضلك|لا تذكر المستندات ذلك.|أقرب المقاطع|المصدر {n}|صفحة {n}|فتح في المستند|فتح في علامة تبويب جديدة|نسخ مع المصادر|تم النسخ|تم الإيقاف.|تعذر الوصول إلى الخادم. حاول مرة أخرى بعد قليل.|لا يُسمح لهذه الصفحة باستخدام هذا المساعد.|الأسئلة كثيرة الآن. حاول مرة أخرى بعد {n} ثانية.|تعذر تقديم إجابة.|إعادة المحاولة|مفيد|غير مفيد|ما الذي كان جيدًا أو خاطئًا أو ناقصًا؟ (اختياري)|شكرًا لك.|لماذا هذه الإجابة|لا توجد إجابة مؤكدة.",
};

export const LANGUAGES = Object.keys(TABLE);
const RIGHT_TO_LEFT = new Set(["ar"]);

export function choose(wanted: string): { language: string; direction: string; words: Words } {
  const short = wanted.toLowerCase().split("-")[0] ?? "";
  const language = short in TABLE ? short : "en";
  const values = (TABLE[language] ?? "").split("|");
  const words = Object.fromEntries(KEYS.map((key, place) => [key, values[place] ?? key])) as Words;
  return { language, direction: RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr", words };
}

export function fill(text: string, n: number): string {
  return text.replace("{n}", String(n));
}
